"""What tests of both packages share."""

pytest_plugins = ["sharing", "tiny_training"]  # in tests/

# They hold no examples, and as modules of one name two of them cannot be collected together.
collect_ignore_glob = ["tests/conftest.py", "tests/*/conftest.py"]
