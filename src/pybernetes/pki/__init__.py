"""X.509 of every part: keys, certificates and requests, their files, and TLS contexts that follow their files.

`keys`, `certificates` and `requests` are functions of their arguments (`now` among them) apart from the randomness of keys and serial
numbers; they load the cryptography package, so parts import them where they need them. `files`, `reloading`, `contexts` and `bundles`
(authorities that others trust) are I/O and load the standard library alone, `bundles` the package when it is used. Nothing here knows of
Kubernetes' objects, flags or kubeconfigs.
"""

import warnings

# Of names that are longer than X.520 would have them: see `certificates.distinguished_name`.
warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
# Authorities that kubeadm before 1.29 has made have the serial number 0, and clusters have them for ten years.
warnings.filterwarnings("ignore", "Parsed a serial number which wasn't positive", UserWarning)
