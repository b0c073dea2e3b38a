"""The contestants that CART is compared with, and the instruments that all share: a file or a folder each."""
