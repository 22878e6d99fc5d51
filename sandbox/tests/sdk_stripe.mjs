// Lets Stripe's own Node SDK work against the emulator.
//
//     node sdk_stripe.mjs [BASE_URL] [KEY]        (or STRIPE_URL and STRIPE_KEY)
//
// Needs `npm install stripe`, beside this file, or in the folder that NODE_MODULES names. Prints "ok", or fails with what was
// not as it should be.

import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const base = new URL(process.argv[2] ?? process.env.STRIPE_URL);
const key = process.argv[3] ?? process.env.STRIPE_KEY ?? "sk_test_sandbox000000000000000000";
const from = process.env.NODE_MODULES ? path.join(process.env.NODE_MODULES, "x.js") : import.meta.url;
const required = createRequire(from)("stripe");
const Stripe = required.default ?? required;

const connect = (options = {}, apiKey = key) =>
  new Stripe(apiKey, { host: base.hostname, port: base.port, protocol: "http", maxNetworkRetries: 0, telemetry: false, ...options });

async function control(where, body, method) {
  const answer = await fetch(new URL(`/_sandbox${where}`, base), {
    method: method ?? (body ? "POST" : "GET"),
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, text);
  return text ? JSON.parse(text) : undefined;
}

async function names(list) {
  const found = [];
  for await (const object of list) found.push(object.name);
  return found;
}

async function customers(stripe) {
  for (let number = 0; number < 25; number += 1) await stripe.customers.create({ name: `n${number}` });
  const all = Array.from({ length: 25 }, (_, number) => `n${number}`);
  const first = await stripe.customers.list({ limit: 10 });
  assert.equal(first.data.length, 10);
  assert.equal(first.has_more, true);
  assert.deepEqual(await names(stripe.customers.list({ limit: 7 })), all.toReversed());
  const everyone = await stripe.customers.list({ limit: 100 }).autoPagingToArray({ limit: 1000 });
  // Backwards, the SDK yields oldest first.
  assert.deepEqual(await names(stripe.customers.list({ limit: 10, ending_before: everyone.at(-1).id })), all.slice(1));

  const made = await stripe.customers.create({ email: "zoë+x@example.com", name: 'Zoë & "Søn"', address: { city: "Lyon" } });
  assert.equal(made.name, 'Zoë & "Søn"');
  assert.match(made.lastResponse.requestId, /^req_/);
  const changed = await stripe.customers.update(made.id, { name: "", metadata: { a: "b" } });
  assert.equal(changed.name, null);
  assert.deepEqual({ ...changed.metadata }, { a: "b" });
  assert.equal((await stripe.customers.list({ email: "zoë+x@example.com" })).data[0].id, made.id);
  assert.equal((await stripe.customers.del(made.id)).deleted, true);
  assert.equal((await stripe.customers.retrieve(made.id)).deleted, true);
}

async function selling(stripe) {
  const product = await stripe.products.create({ name: "Club" });
  const price = await stripe.prices.create({ currency: "usd", unit_amount: 1900, product: product.id, recurring: { interval: "month" } });
  const link = await stripe.paymentLinks.create({
    line_items: [
      { price: price.id, quantity: 1 },
      { price_data: { currency: "usd", unit_amount: 500, product_data: { name: "Cup" } }, quantity: 2 },
    ],
    after_completion: { type: "redirect", redirect: { url: "https://example.com/?a=1&b=2" } },
  });
  assert.equal(link.after_completion.redirect.url, "https://example.com/?a=1&b=2");
  assert.deepEqual((await stripe.paymentLinks.listLineItems(link.id)).data.map((item) => item.amount_total), [1900, 1000]);
  assert.equal((await stripe.paymentLinks.update(link.id, { active: false })).active, false);

  const customer = await stripe.customers.create({ email: "a@example.com", payment_method: "pm_card_visa" });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id, quantity: 3 }],
    expand: ["latest_invoice", "customer"],
  });
  assert.equal(subscription.status, "active");
  assert.equal(subscription.latest_invoice.amount_paid, 5700);
  assert.equal(subscription.customer.email, "a@example.com");
  assert.equal((await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true })).cancel_at_period_end, true);
  assert.equal((await stripe.subscriptions.cancel(subscription.id)).status, "canceled");
  await assert.rejects(stripe.subscriptions.cancel(subscription.id), { statusCode: 404, code: "resource_missing" });

  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://example.com/?s={CHECKOUT_SESSION_ID}",
    customer_email: "c@example.com",
  });
  assert.equal(session.success_url, "https://example.com/?s={CHECKOUT_SESSION_ID}");
  assert.equal((await stripe.checkout.sessions.expire(session.id)).status, "expired");
}

async function paying(stripe) {
  const intent = await stripe.paymentIntents.create({
    amount: 1099,
    currency: "usd",
    confirm: true,
    payment_method: "pm_card_visa",
    automatic_payment_methods: { enabled: true, allow_redirects: "never" },
  });
  assert.equal(intent.status, "succeeded");
  assert.equal((await stripe.refunds.create({ payment_intent: intent.id })).amount, 1099);
  await assert.rejects(stripe.refunds.create({ payment_intent: intent.id }), { code: "charge_already_refunded" });
  await assert.rejects(
    stripe.paymentIntents.create({ amount: 1099, currency: "usd", confirm: true, payment_method: "pm_card_chargeDeclined" }),
    { type: "StripeCardError", code: "card_declined", decline_code: "generic_decline" },
  );
}

async function failing(stripe) {
  await assert.rejects(connect({}, "sk_test_wrong").customers.list(), { type: "StripeAuthenticationError" });
  await assert.rejects(stripe.customers.create({ colour: "red" }), { code: "parameter_unknown", param: "colour" });
  const once = { idempotencyKey: "node-1" };
  const first = await stripe.customers.create({ name: "once" }, once);
  assert.equal((await stripe.customers.create({ name: "once" }, once)).id, first.id);
  await assert.rejects(stripe.customers.create({ name: "twice" }, once), { type: "StripeIdempotencyError" });

  // The SDK repeats a request whose answer was lost, and the key keeps it single.
  const before = (await control("/state")).customers.length;
  await control("/faults", [{ match: { method: "POST" }, fault: "reset", after_effect: true, times: 1 }]);
  await connect({ maxNetworkRetries: 2 }).customers.create({ name: "lost" });
  const calls = (await control("/calls")).calls.slice(-2);
  assert.deepEqual(calls.map((call) => call.replayed), [false, true]);
  assert.equal((await control("/state")).customers.length, before + 1);
}

async function events(stripe) {
  await control("/events", { type: "invoice.payment_failed", amount: 9900, currency: "eur", email: "x@example.com", count: 12 });
  let failed = 0;
  for await (const event of stripe.events.list({ types: ["invoice.payment_failed"], limit: 5 })) {
    assert.equal(event.data.object.amount_remaining, 9900);
    failed += 1;
  }
  assert.equal(failed, 12);

  const received = Promise.withResolvers ? Promise.withResolvers() : {};
  received.promise ??= new Promise((resolve) => (received.resolve = resolve));
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      received.resolve({ body: Buffer.concat(parts), signature: request.headers["stripe-signature"] });
      response.end();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/hooks`;
  const endpoint = await stripe.webhookEndpoints.create({ url, enabled_events: ["customer.created"] });
  const made = await stripe.customers.create({ name: "hook" });
  const { body, signature } = await received.promise;
  const event = stripe.webhooks.constructEvent(body, signature, endpoint.secret);
  assert.equal(event.data.object.id, made.id);
  assert.throws(() => stripe.webhooks.constructEvent(body, signature, "whsec_wrong"));
  assert.equal((await stripe.webhookEndpoints.del(endpoint.id)).deleted, true);
  server.close();
}

// The operations that the connector has, one after the other.
async function operations(stripe) {
  const customer = await stripe.customers.create({ email: "op@example.com", payment_method: "pm_card_visa" });
  assert.equal((await stripe.customers.update(customer.id, { name: "Op" })).name, "Op");
  const product = await stripe.products.create({ name: "Tea" });
  const price = await stripe.prices.create({ currency: "usd", unit_amount: 2000, product: product.id, recurring: { interval: "month" } });
  const link = await stripe.paymentLinks.create({ line_items: [{ price: price.id, quantity: 1 }] });
  assert.equal((await stripe.paymentLinks.update(link.id, { active: false })).active, false);
  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "https://example.com/ok",
  });
  assert.equal((await stripe.checkout.sessions.expire(session.id)).status, "expired");
  const intent = await stripe.paymentIntents.create({ amount: 5000, currency: "usd", customer: customer.id, capture_method: "manual" });
  assert.equal((await stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" })).status, "requires_capture");
  const captured = await stripe.paymentIntents.capture(intent.id, { amount_to_capture: 4000 });
  assert.equal(captured.amount_received, 4000);
  assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, "succeeded");
  const charge = await stripe.charges.retrieve(captured.latest_charge);
  assert.equal((await stripe.charges.update(charge.id, { description: "tea" })).description, "tea");
  assert.equal((await stripe.refunds.create({ charge: charge.id, amount: 1500 })).amount, 1500);
  const other = await stripe.paymentIntents.create({ amount: 700, currency: "usd" });
  assert.equal((await stripe.paymentIntents.cancel(other.id, { cancellation_reason: "abandoned" })).status, "canceled");
  const made = [];
  for (let number = 0; number < 2; number += 1) {
    const invoice = await stripe.invoices.create({ customer: customer.id, collection_method: "send_invoice", days_until_due: 30 });
    await stripe.invoiceItems.create({ customer: customer.id, invoice: invoice.id, amount: 2500, currency: "usd" });
    assert.equal((await stripe.invoices.finalizeInvoice(invoice.id)).status, "open");
    await stripe.invoices.sendInvoice(invoice.id);
    made.push(invoice.id);
  }
  assert.equal((await stripe.invoices.pay(made[0], { paid_out_of_band: true })).status, "paid");
  assert.equal((await stripe.invoices.voidInvoice(made[1])).status, "void");
  assert.equal((await stripe.invoices.retrieve(made[0])).amount_paid, 2500);
  const coupon = await stripe.coupons.create({ percent_off: 10, duration: "once" });
  const code = await stripe.promotionCodes.create({ promotion: { type: "coupon", coupon: coupon.id }, code: "OPS" });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    discounts: [{ promotion_code: code.id }],
  });
  const item = subscription.items.data[0].id;
  const changed = await stripe.subscriptions.update(subscription.id, { items: [{ id: item, price: price.id, quantity: 4 }] });
  assert.deepEqual(changed.items.data.map((one) => one.quantity), [4]);
  assert.equal((await stripe.subscriptions.cancel(subscription.id, { invoice_now: true })).status, "canceled");
  await control("/events", { type: "charge.dispute.created" });
  const [dispute] = (await stripe.disputes.list()).data;
  const told = await stripe.disputes.update(dispute.id, { evidence: { product_description: "tea" } });
  assert.equal(told.evidence.product_description, "tea");
  assert.equal((await stripe.disputes.update(dispute.id, { submit: true })).status, "under_review");
  assert.equal((await stripe.customers.del(customer.id)).deleted, true);
}

await control("/reset", undefined, "POST");
for (const part of [customers, selling, paying, failing, operations, events]) await part(connect());
console.log("ok");
