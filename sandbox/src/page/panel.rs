//! The services of the page: their tables, and the buttons that make things happen. A service without a panel is shown all
//! the same, by what it holds.

use serde_json::{Map, Value, json};

use super::view::{Column, Kind, Table, decimals, plain};

/// What the page has about one service.
pub(super) struct Panel {
    service: &'static str,
    title: &'static str,
    about: &'static str,
    tables: &'static [Table],
    fields: &'static [Field],
    buttons: &'static [Button],
}

/// Something to fill in.
struct Field {
    name: &'static str,
    label: &'static str,
    value: &'static str,
    /// `text`, `email`, `amount`, or what there is to choose from, with commas.
    kind: &'static str,
}

/// Something to press.
struct Button {
    id: &'static str,
    label: &'static str,
    /// What happens, as the emulator is told.
    happening: fn(&Input<'_>) -> Result<Value, String>,
}

/// What was filled in.
pub(super) struct Input<'i>(&'i Map<String, Value>);

impl Input<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The amount in minor units, exactly.
    fn minor(&self) -> Result<i64, String> {
        let text = self.text("amount").ok_or("an amount is needed")?;
        let decimals = decimals(&self.text("currency").unwrap_or("usd").to_uppercase()) as usize;
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 8 || !digits(whole) || !digits(rest) || rest.len() > decimals {
            return Err(match decimals {
                0 => "the amount is a number without decimals in this currency, such as 5000".to_owned(),
                _ => format!("the amount is a number with at most {decimals} decimals, such as 250.00"),
            });
        }
        format!("{whole}{rest:0<decimals$}").parse().map_err(|_| "the amount is too large".to_owned())
    }

    /// How somebody turns a bolt.
    fn how(&self) -> &str {
        self.text("how").unwrap_or("hand")
    }

    /// A payment of what was filled in.
    fn payment(&self, event: &str) -> Result<Value, String> {
        let mut happening = json!({ "type": event, "amount": self.minor()?, "currency": self.text("currency").unwrap_or("usd") });
        happening["email"] = json!(self.text("email"));
        Ok(happening)
    }
}

const MONEY: Column =
    Column { heading: "amount", at: &["/amount", "/amount_total", "/total", "/amount_due"], kind: Kind::Minor("/currency") };
const CURRENCIES: &str = "usd,eur,jpy,gbp,chf";

const PANELS: &[Panel] = &[
    Panel {
        service: "stripe",
        title: "Stripe",
        about: "Payments. What happens here is sent to flowd as a signed webhook.",
        tables: &[
            Table {
                title: "Charges",
                from: "charges",
                columns: &[
                    MONEY,
                    plain("status", &["/status"]),
                    plain("why", &["/outcome/reason", "/failure_code"]),
                    plain("e-mail", &["/billing_details/email", "/receipt_email"]),
                    plain("id", &["/id"]),
                ],
            },
            Table {
                title: "Checkouts",
                from: "checkout_sessions",
                columns: &[
                    MONEY,
                    plain("status", &["/status"]),
                    plain("payment", &["/payment_status"]),
                    plain("e-mail", &["/customer_details/email", "/customer_email"]),
                ],
            },
            Table {
                title: "Customers",
                from: "customers",
                columns: &[plain("name", &["/name"]), plain("e-mail", &["/email"]), plain("id", &["/id"])],
            },
            Table {
                title: "Invoices",
                from: "invoices",
                columns: &[MONEY, plain("status", &["/status"]), plain("e-mail", &["/customer_email"])],
            },
            Table {
                title: "Payment links",
                from: "payment_links",
                columns: &[plain("address", &["/url"]), plain("active", &["/active"])],
            },
            Table {
                title: "Refunds",
                from: "refunds",
                columns: &[MONEY, plain("status", &["/status"]), plain("why", &["/reason"])],
            },
        ],
        fields: &[
            Field { name: "amount", label: "Amount", value: "250.00", kind: "amount" },
            Field { name: "currency", label: "Currency", value: "usd", kind: CURRENCIES },
            Field { name: "email", label: "E-mail (empty: a guest)", value: "ada@example.com", kind: "email" },
            Field { name: "name", label: "Name", value: "Ada Brandt", kind: "text" },
            Field {
                name: "failure",
                label: "Why a charge fails",
                value: "insufficient_funds",
                kind: "insufficient_funds,card_declined,expired_card,fraudulent,lost_card,processing_error",
            },
        ],
        buttons: &[
            Button {
                id: "fail",
                label: "A charge fails",
                happening: |input| {
                    let mut happening = input.payment("charge.failed")?;
                    happening["failure"] = json!(input.text("failure").unwrap_or("card_declined"));
                    Ok(happening)
                },
            },
            Button { id: "pay", label: "A payment goes through", happening: |input| input.payment("charge.succeeded") },
            Button {
                id: "checkout",
                label: "A checkout completes",
                happening: |input| input.payment("checkout.session.completed"),
            },
            Button { id: "invoice", label: "An invoice is not paid", happening: |input| input.payment("invoice.payment_failed") },
            Button {
                id: "subscribe",
                label: "A subscription begins",
                happening: |input| input.payment("customer.subscription.created"),
            },
            Button { id: "dispute", label: "A payment is disputed", happening: |input| input.payment("charge.dispute.created") },
            Button {
                id: "customer",
                label: "Somebody becomes a customer",
                happening: |input| {
                    Ok(
                        json!({ "type": "customer.created", "name": input.text("name").unwrap_or("Ada Brandt"), "email": input.text("email") }),
                    )
                },
            },
        ],
    },
    Panel {
        service: "kustomer",
        title: "Kustomer",
        about: "Conversations with customers.",
        tables: &[
            Table {
                title: "Conversations",
                from: "conversations",
                columns: &[
                    plain("name", &["/attributes/name"]),
                    plain("status", &["/attributes/status"]),
                    plain("priority", &["/attributes/priority"]),
                    plain("messages", &["/attributes/messageCount"]),
                ],
            },
            Table {
                title: "Messages",
                from: "messages",
                columns: &[
                    plain("text", &["/attributes/preview"]),
                    plain("direction", &["/attributes/direction"]),
                    plain("channel", &["/attributes/channel"]),
                ],
            },
            Table {
                title: "Customers",
                from: "customers",
                columns: &[
                    plain("name", &["/attributes/displayName", "/attributes/name"]),
                    plain("e-mail", &["/attributes/emails/0/email"]),
                ],
            },
            Table { title: "Notes", from: "notes", columns: &[plain("text", &["/attributes/body"])] },
        ],
        fields: &[
            Field { name: "email", label: "Who", value: "grace@example.com", kind: "email" },
            Field { name: "subject", label: "Subject", value: "My parcel", kind: "text" },
            Field { name: "text", label: "Text", value: "It did not come. Please help.", kind: "text" },
        ],
        buttons: &[
            Button {
                id: "write",
                label: "Somebody writes",
                happening: |input| {
                    Ok(json!({
                        "type": "kustomer.message.create", "email": input.text("email").ok_or("say who writes")?,
                        "subject": input.text("subject").unwrap_or("Hello"), "text": input.text("text").unwrap_or("Hello"),
                    }))
                },
            },
            Button {
                id: "close",
                label: "An agent closes the latest conversation",
                happening: |_| Ok(json!({ "type": "kustomer.conversation.update", "status": "done" })),
            },
        ],
    },
    Panel {
        service: "sesame",
        title: "Sesame",
        about: "The lock of a door. flowd learns what happens by asking, which takes calls of the key.",
        tables: &[
            Table {
                title: "Doors",
                from: "devices",
                columns: &[
                    plain("state", &["/status/CHSesame2Status"]),
                    Column { heading: "battery", at: &["/status/batteryPercentage"], kind: Kind::Percent },
                    plain("online", &["/online"]),
                    Column { heading: "reported", at: &["/status/timestamp"], kind: Kind::Time },
                    plain("commands", &["/accepted"]),
                    plain("device", &["/_name"]),
                ],
            },
            Table {
                title: "Calls of the month",
                from: "keys",
                columns: &[plain("used", &["/used"]), plain("of", &["/quota"]), plain("key", &["/key"])],
            },
        ],
        fields: &[
            Field { name: "by", label: "By whom", value: "Ada", kind: "text" },
            Field { name: "how", label: "How", value: "hand", kind: "hand,app,module,web" },
            Field { name: "level", label: "Battery, in per cent", value: "8", kind: "text" },
        ],
        buttons: &[
            Button {
                id: "unlock",
                label: "The door is unlocked",
                happening: |input| Ok(json!({ "type": "unlocked", "method": input.how(), "by": input.text("by") })),
            },
            Button {
                id: "lock",
                label: "The door is locked",
                happening: |input| Ok(json!({ "type": "locked", "method": input.how(), "by": input.text("by") })),
            },
            Button { id: "moved", label: "Somebody turns it halfway", happening: |_| Ok(json!({ "type": "moved" })) },
            Button { id: "jam", label: "The bolt jams", happening: |_| Ok(json!({ "type": "jammed" })) },
            Button {
                id: "battery",
                label: "The battery falls",
                happening: |input| {
                    let level = input.text("level").and_then(|text| text.parse::<u8>().ok()).filter(|level| *level <= 100);
                    Ok(json!({ "type": "battery", "level": level.ok_or("the battery is a number from 0 to 100")? }))
                },
            },
            Button { id: "offline", label: "It goes offline", happening: |_| Ok(json!({ "type": "offline" })) },
            Button { id: "online", label: "It is back online", happening: |_| Ok(json!({ "type": "online" })) },
            Button {
                id: "stick",
                label: "The next command comes to nothing",
                happening: |_| Ok(json!({ "type": "sticks", "count": 1 })),
            },
            Button {
                id: "spend",
                label: "The calls of the month are used up",
                happening: |_| Ok(json!({ "type": "quota", "limit": 1000, "used": 1000 })),
            },
            Button {
                id: "renew",
                label: "There are calls again",
                happening: |_| Ok(json!({ "type": "quota", "limit": 1000, "used": 0 })),
            },
        ],
    },
    Panel {
        service: "customerio",
        title: "Customer.io",
        about: "People, what they did, and messages to them.",
        tables: &[
            Table {
                title: "People",
                from: "people",
                columns: &[plain("e-mail", &["/email"]), plain("id", &["/id"]), plain("unsubscribed", &["/unsubscribed"])],
            },
            Table {
                title: "What they did",
                from: "track_events",
                columns: &[
                    plain("event", &["/name"]),
                    plain("who", &["/customer_id", "/person", "/email"]),
                    plain("data", &["/data"]),
                ],
            },
            Table {
                title: "Messages",
                from: "deliveries",
                columns: &[
                    plain("to", &["/recipient"]),
                    plain("template", &["/transactional_message_id"]),
                    plain("subject", &["/subject"]),
                    plain("state", &["/state"]),
                ],
            },
        ],
        fields: &[Field { name: "email", label: "Who", value: "ada@example.com", kind: "email" }],
        buttons: &[
            Button { id: "bounce", label: "A message bounces", happening: |input| report(input, "email.bounced") },
            Button { id: "open", label: "A message is opened", happening: |input| report(input, "email.opened") },
            Button { id: "leave", label: "Somebody unsubscribes", happening: |input| report(input, "customer.unsubscribed") },
        ],
    },
    Panel {
        service: "referralcandy",
        title: "ReferralCandy",
        about: "Purchases, and who recommended the shop.",
        tables: &[
            Table {
                title: "Purchases",
                from: "purchases",
                columns: &[
                    Column { heading: "amount", at: &["/invoice_amount"], kind: Kind::Decimal("/currency_code") },
                    plain("e-mail", &["/email"]),
                    plain("reference", &["/external_reference_id"]),
                    plain("recommended by", &["/advocate"]),
                ],
            },
            Table {
                title: "Contacts",
                from: "contacts",
                columns: &[plain("e-mail", &["/email"]), plain("name", &["/first_name"]), plain("recommends", &["/advocate"])],
            },
            Table { title: "Rewards", from: "rewards", columns: &[plain("e-mail", &["/email"]), plain("status", &["/status"])] },
        ],
        fields: &[
            Field { name: "email", label: "Friend", value: "friend@example.com", kind: "email" },
            Field { name: "advocate", label: "Recommended by", value: "ada@example.com", kind: "email" },
        ],
        buttons: &[Button {
            id: "refer",
            label: "Somebody is recommended",
            happening: |input| {
                Ok(json!({ "type": "referral", "email": input.text("email"), "advocate": input.text("advocate") }))
            },
        }],
    },
    Panel {
        service: "web",
        title: "Messages, webhooks, a model",
        about: "What flows send to Slack, Discord, ntfy and receivers of webhooks, and what the model was asked.",
        tables: &[
            Table {
                title: "Slack",
                from: "slack",
                columns: &[plain("channel", &["/channel", "/webhook"]), plain("text", &["/message/text"])],
            },
            Table {
                title: "Discord",
                from: "discord",
                columns: &[plain("text", &["/message/content", "/content", "/message"]), plain("id", &["/id"])],
            },
            Table {
                title: "ntfy",
                from: "ntfy",
                columns: &[plain("topic", &["/topic"]), plain("title", &["/title"]), plain("message", &["/message"])],
            },
            Table { title: "Webhooks", from: "webhooks", columns: &[plain("type", &["/body/type"]), plain("id", &["/id"])] },
            Table {
                title: "The model",
                from: "completions",
                columns: &[plain("text", &["/text"]), plain("answer", &["/content"])],
            },
        ],
        fields: &[Field {
            name: "content",
            label: "What the model says next",
            value: "{\"label\": \"none of them\"}",
            kind: "text",
        }],
        buttons: &[Button {
            id: "answer",
            label: "The model says this once",
            happening: |input| Ok(json!({ "type": "ai.answer", "content": input.text("content").unwrap_or_default() })),
        }],
    },
];

fn report(input: &Input<'_>, metric: &str) -> Result<Value, String> {
    Ok(json!({ "type": metric, "email": input.text("email").ok_or("say who")? }))
}

fn panel(service: &str) -> Option<&'static Panel> {
    PANELS.iter().find(|panel| panel.service == service)
}

/// Returns the tables of a service; `None` where nobody has said which.
pub(super) fn tables(service: &str) -> Option<&'static [Table]> {
    panel(service).map(|panel| panel.tables)
}

/// Returns what the page has to know of a service once.
pub(super) fn described(service: &str, address: &str) -> Value {
    let panel = panel(service);
    let fields = panel.map_or(&[][..], |panel| panel.fields).iter().map(|field| {
        let choices: Vec<&str> = if field.kind.contains(',') { field.kind.split(',').collect() } else { Vec::new() };
        json!({ "name": field.name, "label": field.label, "value": field.value, "kind": field.kind, "choices": choices })
    });
    let buttons =
        panel.map_or(&[][..], |panel| panel.buttons).iter().map(|button| json!({ "id": button.id, "label": button.label }));
    json!({
        "service": service,
        "title": panel.map_or(service, |panel| panel.title),
        "about": panel.map_or("", |panel| panel.about),
        "address": address,
        "fields": fields.collect::<Vec<_>>(),
        "buttons": buttons.collect::<Vec<_>>(),
    })
}

/// Returns what pressing a button makes happen.
pub(super) fn happening(service: &str, button: &str, fields: &Map<String, Value>) -> Result<(&'static str, Value), String> {
    let panel = panel(service).ok_or("there is no such service")?;
    let button = panel.buttons.iter().find(|known| known.id == button).ok_or("there is no such button")?;
    Ok((button.label, (button.happening)(&Input(fields))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::SERVICES;

    #[test]
    fn each_service_has_one_panel() {
        for service in SERVICES {
            assert_eq!(PANELS.iter().filter(|panel| panel.service == service.name).count(), 1, "{}", service.name);
        }
        assert_eq!(PANELS.len(), SERVICES.len());
    }
}
