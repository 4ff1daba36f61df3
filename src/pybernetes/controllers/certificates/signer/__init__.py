"""Signs approved requests: `authority` is the CA, `controller` its four signers."""
