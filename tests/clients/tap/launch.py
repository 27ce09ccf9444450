"""Runs tap-salesforce with its sign-in brought to the simulator: launch.py <url of the org> <flags of the tap>..."""

import sys
from urllib.parse import urlsplit

import requests.sessions
from requests.adapters import HTTPAdapter

org = sys.argv.pop(1)


class ToSimulator(HTTPAdapter):
    """Sends what is for login.salesforce.com to the simulator, and everything else where it goes."""

    def send(self, request, *arguments, **options):
        wanted = urlsplit(request.url)
        if wanted.hostname == "login.salesforce.com":
            request.url = org + wanted.path
        return super().send(request, *arguments, **options)


requests.sessions.HTTPAdapter = ToSimulator  # what every new session takes

from tap_salesforce import main  # noqa: E402

sys.argv[0] = "tap-salesforce"
main()
