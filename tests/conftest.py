"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says more of the machine than of the code; speed is measured by ./bench.
settings.register_profile("repository", deadline=None)
settings.load_profile("repository")
