"""The contestants that CART is compared with, and the instruments that all are handed: a file or a folder each."""
