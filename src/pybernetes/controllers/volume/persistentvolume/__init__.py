"""Claims and volumes (upstream: pkg/controller/volume/persistentvolume).

`plan` finds which go together; `controller` binds, releases and asks for new ones.
"""
