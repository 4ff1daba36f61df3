"""Encryption at rest: what --encryption-provider-config says, and the transformers that it makes (upstream: apiserver/pkg/storage/value,
pkg/server/options/encryptionconfig).

`configuration` reads the file and is pure; `transformers`, `aes` and `secretbox` are the ciphers, byte for byte in upstream's form; `kmsobject`
(what is stored), `kmsservice` (the plug-in's socket) and `kms` (data keys and their state) are envelope encryption; `provider` puts them together
for the resources and follows the file. Nothing here knows requests or the watch cache.
"""
