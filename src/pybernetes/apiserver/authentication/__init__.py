"""Who asks: one module an authenticator; `chain.py` has their order. Nothing here knows what one may."""
