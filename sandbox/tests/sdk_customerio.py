"""Lets Customer.io's own Python library work against the emulator.

    python sdk_customerio.py BASE_URL

Needs `pip install customerio`. Prints "ok", or fails with what was not as it should be.
"""

import json
import sys
import urllib.request
from datetime import datetime, timezone

from customerio import APIClient, CustomerIO, CustomerIOException, SendEmailRequest

BASE = sys.argv[1]
SITE, TRACK, APP = (
    "customerio_sandbox_site",
    "customerio_sandbox_track_key_000000",
    "customerio_sandbox_app_key_00000000",
)


def state():
    with urllib.request.urlopen(BASE + "/_sandbox/state") as answer:
        return json.load(answer)


def refused(status, call):
    try:
        call()
    except CustomerIOException as error:
        assert str(error).startswith(str(status)), error
    else:
        raise AssertionError(f"{status} was expected")


def track(key=TRACK):
    # The library knows https alone; its address can be set behind its back.
    client = CustomerIO(SITE, key)
    client.base_url = BASE + "/api/v1"
    return client


cio = track()
cio.identify(id="py+1/a", email="py@example.com", created_at=datetime(2026, 11, 22, tzinfo=timezone.utc), plan="basic")
cio.identify(id="py+1/a", plan="gold", score=None)
ulid = "01E4C4CT6YDC7Y5M7FE1GWWPQJ"
for _ in range(2):
    cio.track(customer_id="py+1/a", name="bought", data={"total": "19.99"}, id=ulid, timestamp=1795000000)
cio.track_anonymous(anonymous_id="visitor", name="looked")
cio.pageview(customer_id="py@example.com", page="/shop")
cio.backfill("py+1/a", "long_ago", 1700000000)
cio.add_device(customer_id="py+1/a", device_id="token", platform="ios")
cio.delete_device(customer_id="py+1/a", device_id="token")
cio.identify(id="py-2")
cio.merge_customers("id", "py+1/a", "id", "py-2")
cio.identify(id="py-3")
cio.suppress("py-3")
cio.unsuppress("py-3")
cio.identify(id="py-4")
cio.delete("py-4")
refused(401, lambda: track("wrong").identify(id="x"))
refused(400, lambda: cio.track(customer_id="py+1/a", name="n" * 101))

found = state()
people = {person["id"]: person for person in found["people"]}
assert set(people) == {"py+1/a"}, people
assert people["py+1/a"]["attributes"] == {"created_at": 1795305600, "plan": "gold"}, people
names = [event["name"] for event in found["track_events"]]
assert names == ["bought", "looked", "/shop", "long_ago"], names
assert [event["starts_campaigns"] for event in found["track_events"]][3] is False

app = APIClient(APP, url=BASE)
sent = app.send_email(
    SendEmailRequest(
        to="py@example.com",
        transactional_message_id="3",
        identifiers={"id": "py+1/a"},
        message_data={"total": "19.99"},
        tracked=True,
    )
)
assert sent["delivery_id"] and sent["queued_at"], sent
refused(401, lambda: APIClient("wrong", url=BASE).send_email(SendEmailRequest(to="py@example.com")))
refused(400, lambda: app.send_email(SendEmailRequest(to="py@example.com", identifiers={"id": "a", "email": "b@example.com"})))
delivery = state()["deliveries"][0]
assert delivery["id"] == sent["delivery_id"] and delivery["state"] == "delivered", delivery
print("ok")
