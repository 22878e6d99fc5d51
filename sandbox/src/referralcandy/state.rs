//! What the ReferralCandy emulator holds: contacts, purchases, referrals, rewards.

use serde_json::{Value, json};

use super::error::ApiError;
use super::params::Params;
use crate::ids::Ids;
use crate::rate::Bucket;
use crate::table::Table;

const LOCALES: &[&str] = &["en", "fr", "de", "es", "it", "ja", "nl", "ru", "zh-CN", "zh-HK", "zh-TW", "da", "no", "sv", "pt-BR"];
/// How many rewards are listed at a time.
const REWARDS: usize = 200;
/// How many contacts are listed at a time.
const CONTACTS: usize = 100;
/// Where the pages of advocates are.
const CORNER: &str = "https://sandbox.referralcandy.example";

/// Everything the emulator holds.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) contacts: Table,
    pub(crate) purchases: Table,
    pub(crate) referrals: Table,
    pub(crate) rewards: Table,
    pub(crate) mails: Table,
    pub(crate) ids: Ids,
    next: u64,
    pub(crate) rate: Bucket,
}

impl State {
    pub(crate) fn new(ids: Ids) -> State {
        State {
            contacts: Table::default(),
            purchases: Table::default(),
            referrals: Table::default(),
            rewards: Table::default(),
            mails: Table::default(),
            ids,
            next: 0,
            rate: Bucket::default(),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn contact(&self, email: &str) -> Option<&Value> {
        self.contacts.rows().find(|row| text(row, "email").eq_ignore_ascii_case(email))
    }

    /// Changes somebody, who is made where they are not known. Returns them as they are then.
    pub(crate) fn with_contact(&mut self, email: &str, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Value {
        let known = self.contact(email).map(|row| text(row, "key").to_owned());
        let key = if let Some(key) = known {
            key
        } else {
            let number = self.number();
            let key = number.to_string();
            let code = self.ids.alphanumeric("", 7).to_lowercase();
            let row = json!({
                "key": key, "id": number, "email": email, "first_name": null, "last_name": null, "purchase_made": false,
                "purchases": [], "unsubscribed": false, "advocate": false, "invite_code": code, "discount_code": format!("FRIEND-{}", code.to_uppercase()),
            });
            self.contacts.put(&key, row);
            key
        };
        if let Some(fields) = self.contacts.get_mut(&key).and_then(Value::as_object_mut) {
            change(fields);
        }
        self.contacts.get(&key).cloned().unwrap_or_default()
    }

    /// `purchase`: each call is another purchase, whatever its reference.
    pub(crate) fn purchase(&mut self, params: &Params) -> Result<Value, ApiError> {
        let (first_name, email) = (params.required("first_name")?.to_owned(), params.email("email")?);
        let at = params.number("order_timestamp")?.ok_or_else(|| ApiError::missing("order_timestamp"))?;
        for name in ["browser_ip", "user_agent"] {
            if params.get(name).is_none() {
                return Err(ApiError::missing(name));
            }
        }
        let amount = params.required("invoice_amount")?.to_owned();
        let currency = params.required("currency_code")?.to_owned();
        if !is_amount(&amount) {
            return Err(ApiError::invalid("invoice_amount"));
        }
        if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Err(ApiError::invalid("currency_code"));
        }
        if params.get("locale").is_some_and(|locale| !LOCALES.contains(&locale)) {
            return Err(ApiError::invalid("locale"));
        }
        // Silence is taken for yes.
        let accepts = params.flag("accepts_marketing")?.unwrap_or(true);
        let number = self.number();
        let reference = params.get("external_reference_id").map(str::to_owned);
        let advocate = self.advocate_of(params, &email);
        let row = json!({
            "id": number, "email": email, "invoice_amount": amount, "currency_code": currency, "order_timestamp": at,
            "external_reference_id": reference, "accepts_marketing": accepts, "advocate": advocate, "parameters": params.shown(),
        });
        self.purchases.put(&number.to_string(), row);
        let buyer = self.with_contact(&email, |fields| {
            fields.insert("first_name".to_owned(), json!(first_name));
            if let Some(last_name) = params.get("last_name") {
                fields.insert("last_name".to_owned(), json!(last_name));
            }
            fields.insert("purchase_made".to_owned(), json!(true));
            if let Some(purchases) = fields.get_mut("purchases").and_then(Value::as_array_mut) {
                purchases.push(json!({"purchased_at": at, "amount": amount}));
            }
        });
        if let Some(advocate) = advocate {
            self.refer(&email, &advocate, at, reference.as_deref());
        }
        Ok(json!({"message": "Success", "referralcorner_url": corner(&buyer)}))
    }

    /// Whom a purchase is credited to: by a friend's code or the id in the address that a friend gave.
    fn advocate_of(&self, params: &Params, buyer: &str) -> Option<String> {
        let by = |name: &str, field: &str| {
            let value = params.get(name).filter(|value| !value.is_empty())?;
            self.contacts.rows().find(|row| text(row, field).eq_ignore_ascii_case(value))
        };
        let advocate = by("discount_code", "discount_code").or_else(|| by("referrer_id", "invite_code"))?;
        let email = text(advocate, "email");
        (!email.eq_ignore_ascii_case(buyer)).then(|| email.to_owned())
    }

    pub(crate) fn refer(&mut self, friend: &str, advocate: &str, at: i64, reference: Option<&str>) -> Value {
        let number = self.number();
        let row = json!({
            "id": number, "referral_email": friend, "referral_timestamp": at, "referring_email": advocate,
            "review_period_over": false, "external_reference_id": reference, "returned": false,
        });
        self.referrals.put(&number.to_string(), row.clone());
        row
    }

    /// `signup`: whoever is there already is no error.
    pub(crate) fn signup(&mut self, params: &Params) -> Result<Value, ApiError> {
        let (first, last) = (params.required("first_name")?.to_owned(), params.required("last_name")?.to_owned());
        let email = params.email("email")?;
        let known = self.contact(&email).is_some_and(|row| row.get("advocate") == Some(&json!(true)));
        let row = self.with_contact(&email, |fields| {
            fields.insert("advocate".to_owned(), json!(true));
            if !known {
                fields.insert("first_name".to_owned(), json!(first));
                fields.insert("last_name".to_owned(), json!(last));
            }
        });
        let code = text(&row, "invite_code");
        Ok(json!({
            "message": if known { "Contact already signed up." } else { "Success" },
            "referralcorner_url": corner(&row),
            "referral_link": format!("{CORNER}/{code}"),
            "invite_code": code,
        }))
    }

    /// `invite`: a mail each time.
    pub(crate) fn invite(&mut self, params: &Params) -> Result<Value, ApiError> {
        let email = params.email("email")?;
        self.mail("invite", &email);
        Ok(success())
    }

    fn mail(&mut self, kind: &str, to: &str) {
        let number = self.number();
        self.mails.put(&number.to_string(), json!({"id": number, "kind": kind, "to": to}));
    }

    /// `referrals`: by the time of the purchase.
    pub(crate) fn list_referrals(&self, params: &Params) -> Result<Value, ApiError> {
        let from = params.number("period_from")?.ok_or_else(|| ApiError::missing("period_from"))?;
        let to = params.number("period_to")?;
        let (email, pending) = (params.get("customer_email"), params.flag("pending_review_only")?.unwrap_or(false));
        let found: Vec<Value> = self
            .referrals
            .rows()
            .filter(|row| {
                let at = row.get("referral_timestamp").and_then(Value::as_i64).unwrap_or_default();
                at >= from
                    && to.is_none_or(|to| at <= to)
                    && email.is_none_or(|email| text(row, "referral_email").eq_ignore_ascii_case(email))
                    && (!pending || row.get("review_period_over") == Some(&json!(false)))
            })
            .map(|row| {
                json!({
                    "referral_email": row.get("referral_email"),
                    "referral_timestamp": row.get("referral_timestamp"),
                    "referring_email": row.get("referring_email"),
                    "review_period_over": row.get("review_period_over"),
                    "external_reference_id": row.get("external_reference_id"),
                })
            })
            .collect();
        Ok(json!({"message": "Success", "referrals": found, "period_from": from, "period_to": to}))
    }

    /// `referral`: a purchase was returned, so that no reward falls due.
    pub(crate) fn mark_returned(&mut self, params: &Params) -> Result<Value, ApiError> {
        let email = params.email("customer_email")?;
        let returned = params.flag("returned")?.unwrap_or(true);
        let notify = params.flag("notify")?.unwrap_or(false);
        let found = self.referrals.rows().rev().find(|row| text(row, "referral_email").eq_ignore_ascii_case(&email));
        let (key, advocate) = match found {
            Some(row) => (row.get("id").map(Value::to_string).unwrap_or_default(), text(row, "referring_email").to_owned()),
            None => return Err(ApiError::new(400, "customer_email has no referral")),
        };
        set(&mut self.referrals, &key, "returned", json!(returned));
        if notify {
            self.mail("returned", &advocate);
        }
        Ok(success())
    }

    /// The time for returns is over for all referrals of a friend, or of everybody: rewards fall due.
    pub(crate) fn review(&mut self, friend: Option<&str>, now: jiff::Timestamp) -> Vec<Value> {
        let due: Vec<(String, String)> = self
            .referrals
            .rows()
            .filter(|row| row.get("review_period_over") == Some(&json!(false)) && row.get("returned") == Some(&json!(false)))
            .filter(|row| friend.is_none_or(|friend| text(row, "referral_email").eq_ignore_ascii_case(friend)))
            .map(|row| (row.get("id").map(Value::to_string).unwrap_or_default(), text(row, "referring_email").to_owned()))
            .collect();
        let mut made = Vec::new();
        for (key, advocate) in due {
            set(&mut self.referrals, &key, "review_period_over", json!(true));
            made.push(self.reward(&advocate, "coupon", "pending_fulfillment", "10% off the next order", now));
        }
        made
    }

    pub(crate) fn reward(&mut self, advocate: &str, kind: &str, status: &str, what: &str, now: jiff::Timestamp) -> Value {
        let number = self.number();
        let name = self.contact(advocate).map(|row| format!("{} {}", text(row, "first_name"), text(row, "last_name")));
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let row = json!({
            "id": number, "advocate_email": advocate, "advocate_name": name, "created_at": format!("{now:.0}"),
            "description": what, "discount": null, "status": status, "type": kind,
        });
        self.rewards.put(&number.to_string(), row.clone());
        row
    }

    pub(crate) fn list_rewards(&self, params: &Params) -> Result<Value, ApiError> {
        let since = params.number("since_id")?.unwrap_or(0);
        let is = |row: &Value, name: &str, field: &str| {
            params
                .get(name)
                .filter(|wanted| !wanted.is_empty())
                .is_none_or(|wanted| text(row, field).eq_ignore_ascii_case(wanted))
        };
        let mut found: Vec<Value> = self
            .rewards
            .rows()
            .filter(|row| row.get("id").and_then(Value::as_i64).is_some_and(|id| id > since))
            .filter(|row| is(row, "email", "advocate_email") && is(row, "status", "status") && is(row, "type", "type"))
            .take(REWARDS + 1)
            .cloned()
            .collect();
        let more = found.len() > REWARDS;
        found.truncate(REWARDS);
        let next = found.last().and_then(|row| row.get("id")).filter(|_| more).cloned();
        let mut answer = json!({"message": "Success", "rewards": found});
        if let (Some(next), Some(fields)) = (next, answer.as_object_mut()) {
            fields.insert("since_id".to_owned(), next);
        }
        Ok(answer)
    }

    pub(crate) fn update_reward(&mut self, params: &Params) -> Result<Value, ApiError> {
        let id = params.required("id")?.to_owned();
        let status = params.required("status")?;
        if !matches!(status, "pending_fulfillment" | "delivered" | "not_applicable") {
            return Err(ApiError::invalid("status"));
        }
        let status = status.to_owned();
        if self.rewards.get(&id).is_none() {
            return Err(ApiError::new(400, "id is unknown"));
        }
        set(&mut self.rewards, &id, "status", json!(status));
        Ok(success())
    }

    pub(crate) fn list_contacts(&self, params: &Params) -> Result<Value, ApiError> {
        let from = params.number("id")?.unwrap_or(0);
        let limit = params.number("limit")?.map_or(CONTACTS, |limit| usize::try_from(limit).unwrap_or(1).clamp(1, CONTACTS));
        let found: Vec<Value> = self
            .contacts
            .rows()
            .filter(|row| row.get("id").and_then(Value::as_i64).is_some_and(|id| id >= from))
            .take(limit)
            .map(|row| {
                json!({
                    "id": row.get("id"), "first_name": row.get("first_name"), "last_name": row.get("last_name"),
                    "email": row.get("email"), "purchase_made": row.get("purchase_made"), "purchases": row.get("purchases"),
                    "unsubscribed": row.get("unsubscribed"),
                })
            })
            .collect();
        Ok(json!({"message": "Success", "total_count": self.contacts.len(), "contacts": found}))
    }

    pub(crate) fn referrer(&self, params: &Params) -> Result<Value, ApiError> {
        let email = params.email("customer_email")?;
        let found = self.referrals.rows().rev().find(|row| text(row, "referral_email").eq_ignore_ascii_case(&email));
        Ok(json!({"message": "Success", "referrer": found.and_then(|row| row.get("referring_email"))}))
    }

    pub(crate) fn set_unsubscribed(&mut self, params: &Params) -> Result<Value, ApiError> {
        let email = params.email("email")?;
        let out = params.flag("unsubscribed")?.unwrap_or(true);
        self.with_contact(&email, |fields| {
            fields.insert("unsubscribed".to_owned(), json!(out));
        });
        Ok(success())
    }
}

fn success() -> Value {
    json!({"message": "Success"})
}

fn set(table: &mut Table, key: &str, name: &str, value: Value) {
    if let Some(fields) = table.get_mut(key).and_then(Value::as_object_mut) {
        fields.insert(name.to_owned(), value);
    }
}

fn text<'r>(row: &'r Value, name: &str) -> &'r str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn corner(contact: &Value) -> String {
    format!("{CORNER}/corner/{}", text(contact, "invite_code"))
}

/// Digits, perhaps a point and more digits.
fn is_amount(amount: &str) -> bool {
    let (whole, rest) = amount.split_once('.').unwrap_or((amount, "0"));
    [whole, rest].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
}
