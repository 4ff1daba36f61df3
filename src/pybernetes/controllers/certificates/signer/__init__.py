"""Signs approved requests: `controller` is four signers, `plan` says how long what they sign holds; the CA is in `pybernetes.pki`."""
