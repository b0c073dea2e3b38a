"""What rankings are worth: metrics, their uncertainty, what is written of them."""
