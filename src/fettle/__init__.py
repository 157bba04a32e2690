"""Fettle: a multi-tenant, self-healing operations platform that can prove what it did."""

__version__ = "0.1.0"
