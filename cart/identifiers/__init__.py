"""Identifiers: what a generative retriever generates. One scheme is CART's, the others are its rivals."""

from cart.identifiers.base import Identifiers, Scheme
from cart.identifiers.keeping import SCHEMES, load, make, save

__all__ = ["SCHEMES", "Identifiers", "Scheme", "load", "make", "save"]
