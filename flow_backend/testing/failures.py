"""What makes a test of an app fail, beside what the app itself raises."""


class NeverEnds(AssertionError):
    """What was called waits for something that nothing in this test will ever bring about."""


class NothingOutside(AssertionError):
    """An action asked the network for something, and the test does not say what comes back."""
