"""Between the API server and a store that upstream's API servers read and write as well (etcd): their keys, their values.

`layout` says where objects lie, `codec` what they look like there (the one place where bytes of an object are changed on their way to a
store and back), `older` reads what releases of years ago have stored, `form` is a `Store` made of these over another.
"""
