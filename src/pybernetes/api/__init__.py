"""The vocabulary that every part speaks: quantities, labels and selectors, patches.

Pure: functions of their arguments, without I/O, clock or randomness. Imports no other
package of pybernetes; the import contract in pyproject.toml checks both.
"""
