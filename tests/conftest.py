"""What holds for all tests."""

from hypothesis import settings

# An example has no time limit of its own: on a machine that is busy with servers it would fail for nothing.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
