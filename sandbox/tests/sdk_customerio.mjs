// Lets Customer.io's own library for Node work against the emulator.
//
//     NODE_MODULES=… node sdk_customerio.mjs BASE_URL
//
// Needs `npm install customerio-node`. Prints "ok", or fails with what was not as it should be.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import http from "node:http";
import path from "node:path";

const base = process.argv[2];
const require = createRequire(path.join(process.env.NODE_MODULES ?? "node_modules", "x.js"));
// The library knows https alone: what it asks for goes out in the clear instead, byte for byte.
require("https").request = (options, answered) => http.request({ ...options, protocol: "http:" }, answered);
const { TrackClient, APIClient, SendEmailRequest } = require("customerio-node");

const { port } = new URL(base);
const track = new TrackClient("customerio_sandbox_site", "customerio_sandbox_track_key_000000", { url: `${base}/api/v1`, port });
const app = new APIClient("customerio_sandbox_app_key_00000000", { url: `${base}/v1`, port });
const state = async () => (await fetch(`${base}/_sandbox/state`)).json();
const refused = (status, promise) => assert.rejects(promise, (error) => error.statusCode === status);

await track.identify("node+1/a", { email: "node@example.com", created_at: 1795305600, plan: "basic" });
const event = { name: "bought", data: { total: "19.99" }, id: "01E4C4CT6YDC7Y5M7FE1GWWPQK", timestamp: 1795000000 };
await track.track("node+1/a", event);
await track.track("node+1/a", event);
await track.trackAnonymous("visitor", { name: "looked" });
await track.trackPageView("node+1/a", "/shop");
await track.addDevice("node+1/a", "token", "android", { last_used: 1795000000 });
await track.deleteDevice("node+1/a", "token");
await track.identify("node-2");
await track.mergeCustomers("id", "node+1/a", "id", "node-2");
await track.identify("node-3");
await track.suppress("node-3");
await track.unsuppress("node-3");
await track.identify("node-4");
await track.destroy("node-4");
await refused(400, track.track("node+1/a", { name: "n".repeat(101) }));
await refused(401, new TrackClient("customerio_sandbox_site", "wrong", { url: `${base}/api/v1`, port }).identify("x"));

const mail = (fields) => new SendEmailRequest({ to: "node@example.com", transactional_message_id: "3", ...fields });
const sent = await app.sendEmail(mail({ identifiers: { id: "node+1/a" }, message_data: { total: "19.99" } }));
assert.ok(sent.delivery_id && sent.queued_at);
await refused(401, new APIClient("wrong", { url: `${base}/v1`, port }).sendEmail(mail({ identifiers: { id: "a" } })));
const { results } = await app.getCustomersByEmail("node@example.com");
assert.equal(results[0].id, "node+1/a");
// It calls an older path, which does the same.
const wave = await app.triggerBroadcast(52, { off: 10 }, { emails: ["node@example.com"] });
assert.equal(typeof wave.id, "number");
await refused(429, app.triggerBroadcast(52, { off: 10 }, { emails: ["node@example.com"] }));

const found = await state();
const mine = found.people.filter((person) => String(person.id).startsWith("node"));
assert.deepEqual(mine.map((person) => person.id), ["node+1/a"]);
assert.equal(mine[0].attributes.plan, "basic");
const bought = found.track_events.filter((row) => row.name === "bought" && row.customer_id === mine[0].cio_id);
assert.equal(bought.length, 1);
console.log("ok");
