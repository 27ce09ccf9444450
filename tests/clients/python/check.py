"""simple-salesforce, as it is published, against the simulator.

The library speaks https to *.salesforce.com. A transport adapter of `requests`, given with the session that the library
takes as an argument, brings those calls to the simulator on this machine; nothing of the library is changed.
"""

import csv
import io
import json
import sys
import urllib.request
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
)

ORG = json.loads(sys.argv[1])
STATEMENT = "SELECT Id, LogFileLength FROM EventLogFile WHERE Interval = 'Hourly' ORDER BY CreatedDate, Id"


class ToSimulator(HTTPAdapter):
    """Sends every request to the simulator."""

    def send(self, request, **options):
        wanted = urlsplit(request.url)
        request.url = ORG["url"] + wanted.path + (f"?{wanted.query}" if wanted.query else "")
        return super().send(request, **options)


def session():
    made = requests.Session()
    made.mount("https://", ToSimulator())
    return made


def control(method, path):
    request = urllib.request.Request(ORG["control_url"] + path, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def stats():
    return json.loads(control("GET", "/stats"))


def app():
    return {"username": ORG["username"], "consumer_key": ORG["client_id"], "session": session()}


def by_jwt():
    return Salesforce(privatekey_file=ORG["key_file"], **app())


def by_password():
    return Salesforce(password=ORG["password"], consumer_secret=ORG["client_secret"], **app())


def refuses(expected, call):
    try:
        call()
    except expected as error:
        return error
    raise AssertionError(f"no {expected.__name__}")


def check(name, condition, *more):
    if not condition:
        raise AssertionError(f"{name}: {more}")
    print(f"pass  simple-salesforce, {name}")


def check_flow(flow, sign_in):
    org = sign_in()
    check(f"{flow}: signs in", org.session_id.startswith("00D"))
    first = org.query(STATEMENT)
    everything = org.query_all(STATEMENT)
    ids = {record["Id"] for record in everything["records"]}
    check(
        f"{flow}: pages through a query",
        not first["done"] and len(ids) == everything["totalSize"] == ORG["hours"],
        len(ids),
    )
    error = refuses(SalesforceMalformedRequest, lambda: org.query("SELECT Id FROM"))
    check(f"{flow}: a malformed query", error.content[0]["errorCode"] == "MALFORMED_QUERY", error.content)
    record = everything["records"][0]
    body = org.EventLogFile.get_base64(record["Id"], "LogFile")
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    truth = [json.loads(line) for line in control("GET", "/truth?interval=hourly").splitlines()]
    expected = sum(event["file"] == record["Id"] for event in truth)
    check(f"{flow}: downloads a LogFile", len(body) == record["LogFileLength"] and len(rows) == expected > 0)
    # Given a token alone, the library says that it expired; given a way to sign in, it does that again by itself.
    by_token = Salesforce(session_id=org.session_id, instance=org.sf_instance, session=session())
    issued = stats()["tokens_issued"]
    control("POST", "/expire-sessions")
    error = refuses(SalesforceExpiredSession, lambda: by_token.query(STATEMENT))
    check(f"{flow}: an expired session", error.content[0]["errorCode"] == "INVALID_SESSION_ID", error.content)
    again = org.query(STATEMENT)
    check(
        f"{flow}: signs in again",
        again["totalSize"] == ORG["hours"] and stats()["tokens_issued"] == issued + 1,
        stats(),
    )


check_flow("JWT", by_jwt)
check_flow("password", by_password)
error = refuses(
    SalesforceAuthenticationFailed,
    lambda: Salesforce(password="wrong", consumer_secret=ORG["client_secret"], **app()),
)
check("password: a wrong one", "invalid_grant" in str(error) and "authentication failure" in str(error), error)
