"""What may be written, and what is filled in: one module a plug-in, named as upstream's; `chain.py` has their order."""
