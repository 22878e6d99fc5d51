"""Lets Stripe's own Python SDK work against the emulator.

    python sdk_stripe.py [BASE_URL] [KEY]        (or STRIPE_URL and STRIPE_KEY)

Needs `pip install stripe`. Prints "ok", or fails with what was not as it should be.
"""

import json
import os
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

import stripe

BASE = sys.argv[1] if len(sys.argv) > 1 else os.environ["STRIPE_URL"]
KEY = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("STRIPE_KEY", "sk_test_sandbox000000000000000000")


def control(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + "/_sandbox" + path, data=data, method=method or ("POST" if data else "GET"))
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def new_client(**options):
    return stripe.StripeClient(KEY, base_addresses={"api": BASE}, **options)


def customers(client):
    for number in range(25):
        client.v1.customers.create({"name": f"n{number}", "metadata": {"n": str(number)}})
    first = client.v1.customers.list({"limit": 10})
    assert len(first.data) == 10 and first.has_more
    names = [customer.name for customer in client.v1.customers.list({"limit": 7}).auto_paging_iter()]
    assert names == [f"n{number}" for number in reversed(range(25))], names
    # Backwards, the SDK yields oldest first.
    oldest = client.v1.customers.list({"limit": 100}).data[-1]
    newer = client.v1.customers.list({"limit": 10, "ending_before": oldest.id}).auto_paging_iter()
    assert [customer.name for customer in newer] == [f"n{number}" for number in range(1, 25)]

    made = client.v1.customers.create({"email": "zoë+x@example.com", "name": "Zoë & Søn", "address": {"city": "Lyon"}})
    assert made.email == "zoë+x@example.com" and made.address.city == "Lyon"
    changed = client.v1.customers.update(made.id, {"name": "", "metadata": {"a": "b"}})
    assert changed.name is None and changed.metadata["a"] == "b"
    assert client.v1.customers.list({"email": "zoë+x@example.com"}).data[0].id == made.id
    assert client.v1.customers.search({"query": "email:'ZOË+x@example.com'"}).data[0].id == made.id
    assert client.v1.customers.delete(made.id).deleted
    assert client.v1.customers.retrieve(made.id).deleted


def selling(client):
    product = client.v1.products.create({"name": "Club"})
    price = client.v1.prices.create(
        {"currency": "usd", "unit_amount": 1900, "product": product.id, "recurring": {"interval": "month"}}
    )
    link = client.v1.payment_links.create(
        {
            "line_items": [
                {"price": price.id, "quantity": 1},
                {"price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Cup"}}, "quantity": 2},
            ],
            "after_completion": {"type": "redirect", "redirect": {"url": "https://example.com/?a=1&b=2"}},
            "allow_promotion_codes": True,
        }
    )
    assert link.url.startswith("https://buy.stripe.com/") and link.allow_promotion_codes is True
    items = client.v1.payment_links.line_items.list(link.id)
    assert [item.amount_total for item in items.data] == [1900, 1000]
    assert client.v1.payment_links.update(link.id, {"active": False}).active is False

    customer = client.v1.customers.create({"email": "a@example.com", "payment_method": "pm_card_visa"})
    subscription = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id, "quantity": 3}], "expand": ["latest_invoice"]}
    )
    assert subscription.status == "active" and subscription.latest_invoice.amount_paid == 5700
    item = subscription["items"].data[0]
    changed = client.v1.subscriptions.update(subscription.id, {"items": [{"id": item.id, "quantity": 1}]})
    assert changed["items"].data[0].quantity == 1
    assert client.v1.subscriptions.cancel(subscription.id).status == "canceled"
    gone = refused(stripe.InvalidRequestError, lambda: client.v1.subscriptions.cancel(subscription.id))
    assert gone.http_status == 404 and gone.code == "resource_missing" and gone.request_id.startswith("req_")


def paying(client):
    intent = client.v1.payment_intents.create(
        {"amount": 1099, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa", "off_session": True}
    )
    assert intent.status == "succeeded"
    assert client.v1.charges.retrieve(intent.latest_charge).payment_method_details.card.last4 == "4242"
    assert client.v1.refunds.create({"payment_intent": intent.id, "amount": 99}).status == "succeeded"
    over = refused(stripe.InvalidRequestError, lambda: client.v1.refunds.create({"charge": intent.latest_charge, "amount": 9999}))
    assert over.param == "amount"
    declined = refused(
        stripe.CardError,
        lambda: client.v1.payment_intents.create(
            {"amount": 1099, "currency": "usd", "confirm": True, "payment_method": "pm_card_chargeDeclined"}
        ),
    )
    assert declined.code == "card_declined" and declined.error.decline_code == "generic_decline"
    assert declined.error.payment_intent.status == "requires_payment_method"

    customer = client.v1.customers.create({"email": "i@example.com"})
    invoice = client.v1.invoices.create({"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30})
    client.v1.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": 700, "currency": "usd"})
    assert client.v1.invoices.finalize_invoice(invoice.id).amount_due == 700
    assert client.v1.invoices.send_invoice(invoice.id).status == "open"
    assert client.v1.invoices.pay(invoice.id, {"paid_out_of_band": True}).status == "paid"


def failing(client):
    wrong = stripe.StripeClient("sk_test_wrong", base_addresses={"api": BASE})
    refused(stripe.AuthenticationError, lambda: wrong.v1.customers.list())
    unknown = refused(stripe.InvalidRequestError, lambda: client.v1.customers.create({"colour": "red"}))
    assert unknown.code == "parameter_unknown" and unknown.param == "colour"

    options = {"idempotency_key": "python-1"}
    first = client.v1.customers.create({"name": "once"}, options)
    assert client.v1.customers.create({"name": "once"}, options).id == first.id
    refused(stripe.IdempotencyError, lambda: client.v1.customers.create({"name": "twice"}, options))

    # The SDK repeats a request whose answer was lost, and the key keeps it single.
    before = len(control("/state")["customers"])
    control("/faults", [{"match": {"method": "POST"}, "fault": "reset", "after_effect": True, "times": 1}])
    new_client(max_network_retries=2).v1.customers.create({"name": "lost"})
    calls = control("/calls")["calls"][-2:]
    assert [call["replayed"] for call in calls] == [False, True], calls
    assert len(control("/state")["customers"]) == before + 1


def events(client):
    control("/events", {"type": "charge.failed", "amount": 25000, "currency": "usd", "email": "x@example.com", "count": 12})
    listed = client.v1.events.list({"types": ["charge.failed", "charge.succeeded"], "limit": 5}).auto_paging_iter()
    failed = [event for event in listed if event.data.object.amount == 25000]
    assert len(failed) == 12 and failed[0].data.object.billing_details.email == "x@example.com"

    received = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put((body, self.headers["Stripe-Signature"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hooks"
    endpoint = client.v1.webhook_endpoints.create({"url": url, "enabled_events": ["customer.created"]})
    made = client.v1.customers.create({"name": "hook"})
    body, signature = received.get(timeout=150)
    event = client.construct_event(body, signature, endpoint.secret)
    assert event.type == "customer.created" and event.data.object.id == made.id
    assert client.v1.webhook_endpoints.delete(endpoint.id).deleted
    server.shutdown()


def operations(client):
    """The 31 operations that the connector has, one after the other."""
    v1 = client.v1
    customer = v1.customers.create({"email": "op@example.com", "payment_method": "pm_card_visa"})
    assert v1.customers.update(customer.id, {"name": "Op"}).name == "Op"
    assert v1.customers.list({"email": "op@example.com", "limit": 1}).data[0].id == customer.id
    product = v1.products.create({"name": "Tea"})
    price = v1.prices.create(
        {"currency": "usd", "unit_amount": 2000, "product": product.id, "recurring": {"interval": "month"}}
    )
    link = v1.payment_links.create({"line_items": [{"price": price.id, "quantity": 1}]})
    assert v1.payment_links.update(link.id, {"active": False}).active is False
    session = v1.checkout.sessions.create(
        {"mode": "subscription", "line_items": [{"price": price.id, "quantity": 1}], "success_url": "https://example.com/ok"}
    )
    assert v1.checkout.sessions.expire(session.id).status == "expired"
    intent = v1.payment_intents.create({"amount": 5000, "currency": "usd", "customer": customer.id, "capture_method": "manual"})
    assert v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "requires_capture"
    captured = v1.payment_intents.capture(intent.id, {"amount_to_capture": 4000})
    assert captured.amount_received == 4000
    assert v1.payment_intents.retrieve(intent.id).status == "succeeded"
    charge = v1.charges.retrieve(captured.latest_charge)
    assert v1.charges.update(charge.id, {"description": "tea", "fraud_details": {"user_report": "safe"}}).description == "tea"
    assert v1.refunds.create({"charge": charge.id, "amount": 1500, "reason": "requested_by_customer"}).amount == 1500
    refused(stripe.InvalidRequestError, lambda: v1.refunds.create({"charge": charge.id, "amount": 99999}))
    other = v1.payment_intents.create({"amount": 700, "currency": "usd"})
    assert v1.payment_intents.cancel(other.id, {"cancellation_reason": "abandoned"}).status == "canceled"
    made = []
    for _ in range(2):
        invoice = v1.invoices.create({"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30})
        v1.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": 2500, "currency": "usd"})
        assert v1.invoices.finalize_invoice(invoice.id).status == "open"
        v1.invoices.send_invoice(invoice.id)
        made.append(invoice.id)
    assert v1.invoices.pay(made[0], {"paid_out_of_band": True}).status == "paid"
    assert v1.invoices.void_invoice(made[1]).status == "void"
    assert v1.invoices.retrieve(made[0]).amount_paid == 2500
    coupon = v1.coupons.create({"percent_off": 10, "duration": "once"})
    code = v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "OPS"})
    subscription = v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "discounts": [{"promotion_code": code.id}]}
    )
    item = subscription["items"].data[0].id
    changed = v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": price.id, "quantity": 4}]})
    assert [one.quantity for one in changed["items"].data] == [4]
    assert v1.subscriptions.cancel(subscription.id, {"invoice_now": True}).status == "canceled"
    refused(stripe.InvalidRequestError, lambda: v1.subscriptions.cancel(subscription.id))
    control("/events", {"type": "charge.dispute.created"})
    dispute = v1.disputes.list().data[0]
    assert v1.disputes.update(dispute.id, {"evidence": {"product_description": "tea"}}).evidence.product_description == "tea"
    assert v1.disputes.update(dispute.id, {"submit": True}).status == "under_review"
    assert v1.customers.delete(customer.id).deleted
    assert v1.customers.retrieve(customer.id).deleted


control("/reset", method="POST")
for part in (customers, selling, paying, failing, operations, events):
    part(new_client())
print("ok")
