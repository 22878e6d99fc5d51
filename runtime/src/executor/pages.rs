//! A query whose list has several pages: they are asked for one after another, and read as one answer.

use std::collections::HashSet;
use std::sync::Arc;

use flow_plan::{Expr, Listing, Operation, Pages, Value};
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value as Json;

use super::perform::AttemptScope;
use crate::answer;
use crate::connection::{Purpose, Target};
use crate::engine::{Engine, Shared};
use crate::eval::{Scope, eval, path_get};
use crate::journal::Outcome;
use crate::listing::{Wanted, is_enough};
use crate::live::LiveConnection;
use crate::poll::heard;
use crate::request;
use crate::world::{HttpAnswer, TransportError};

/// A list of more pages is not read: a part of it would be taken for the whole.
const MOST_PAGES: u32 = 50;

/// Asks for the pages behind the first. Returns the answer with the items of all, or what becomes of the step.
pub(super) async fn all(
    shared: &Arc<Shared>,
    connection: &LiveConnection,
    operation: &Operation,
    scope: &AttemptScope<'_>,
    first: HttpAnswer,
) -> Result<HttpAnswer, Outcome> {
    let Some((listing, pages)) = operation.listing.as_deref().and_then(|listing| Some((listing, listing.pages.as_ref()?))) else {
        return Ok(first);
    };
    if !(200..300).contains(&first.status) {
        return Ok(first);
    }
    let refused = |error: String| Outcome::Refused { status: None, error };
    let wanted = Wanted::of(listing, scope).map_err(|required| refused(required.to_string()))?;
    let Some((mut document, mut items)) = read(operation, &first) else { return Ok(first) };
    let mut page = items.clone();
    let mut number = first_number(operation, pages, scope);
    let target = Target::of(&operation.request, connection, scope);
    let engine = Engine { shared: Arc::clone(shared) };
    let (mut count, mut asked) = (1, HashSet::new());
    loop {
        let announced = pages.more.as_ref().map(|more| path_get(&document, more) == Value::Bool(true));
        let has_more = match announced {
            Some(more) => more,
            // Where the service does not say so, a page without items is behind the last; but not one that says where to go on.
            None => !page.is_empty() || pages.from_answer.is_some(),
        };
        let is_short = !page.is_empty() && pages.of.is_some_and(|of| page.len() < of as usize);
        if !has_more || is_short || is_enough(listing, &items, &page, wanted) {
            break;
        }
        let next = if pages.counted {
            let by = if pages.by_items { u32::try_from(page.len()).unwrap_or(u32::MAX) } else { 1 };
            number = number.saturating_add(by);
            Value::text(number.to_string())
        } else if let Some(place) = &pages.from_answer {
            path_get(&document, place)
        } else {
            items.last().map(|last| counted_on(path_get(last, &pages.from_last), pages.plus)).unwrap_or_default()
        };
        let next = match next {
            Value::Number(number) => Value::text(number.normalize().to_string()),
            other => other,
        };
        if count > MOST_PAGES {
            return Err(refused(too_long(operation, listing)));
        }
        let Some(cursor) = next.as_text().filter(|text| !text.is_empty()).map(str::to_owned) else {
            // The answer that has no cursor is the last one, unless it says that it is not.
            if pages.from_answer.is_some() && announced.is_none() {
                break;
            }
            return Err(refused(format!("page {count} of the list does not say where it goes on")));
        };
        let is_repeated = !asked.insert(cursor);
        if is_repeated && announced.is_some() {
            return Err(refused(format!("page {count} of the list says that there are more, and not where")));
        }
        if is_repeated && page.is_empty() {
            break;
        }
        let pass = engine.pass(&target, Purpose::Follow).await.map_err(|held| Outcome::NotDone {
            status: None,
            error: held.reason,
            retry_after_ms: Some(u64::try_from(held.wait.as_millis()).unwrap_or(u64::MAX)),
        })?;
        let request = request::build_request(&operation.request, connection, scope, &[(pages.param.clone(), next)]);
        let request = request.map_err(|error| refused(error.to_string()))?;
        let options = &shared.options;
        let sent = shared.world.transport.send(request, options.timeout, options.max_answer).await;
        // What a refusal says of the connection is said to the step as well, by its answer.
        drop(pass.heard(&heard(connection, &operation.request, &sent)));
        let answer = match sent {
            Ok(answer) => answer,
            Err(error @ (TransportError::NotConnected(_) | TransportError::Later(_))) => {
                return Err(Outcome::NotDone { status: None, error: error.to_string(), retry_after_ms: None });
            }
            Err(error @ TransportError::NoAnswer(_)) => {
                return Err(Outcome::Unknown { status: None, error: error.to_string(), last: false });
            }
            Err(error @ TransportError::Broken(_)) => {
                return Err(Outcome::Broken { status: None, error: error.to_string() });
            }
            Err(error @ TransportError::Refused(_)) => return Err(refused(error.to_string())),
        };
        // Some services have no page behind the last, and some an empty one.
        if pages.counted && answer.status == 404 && announced.is_none() {
            break;
        }
        count += 1;
        let next_page =
            Some(&answer).filter(|answer| (200..300).contains(&answer.status)).and_then(|answer| read(operation, answer));
        let Some((next_document, next_page)) = next_page else {
            // It is read as the answer, since it says what is wrong; but what is no page does not make the whole list nothing.
            return match answer::read(operation, connection, &answer, scope) {
                answer::Outcome::Done(_) => Err(refused(format!("page {count} of the list is none"))),
                _ => Ok(answer),
            };
        };
        // A service that knows no pages answers with the same one for ever.
        if next_page == page && !page.is_empty() {
            if announced.is_none() {
                break;
            }
            return Err(refused(format!("page {count} of the list is the one before, which says that there are more")));
        }
        if count > MOST_PAGES && !next_page.is_empty() {
            return Err(refused(too_long(operation, listing)));
        }
        items.extend(next_page.iter().cloned());
        (document, page) = (next_document, next_page);
    }
    Ok(HttpAnswer { body: whole(operation, &items).to_string().into(), ..first })
}

fn too_long(operation: &Operation, listing: &Listing) -> String {
    let bound = match &listing.up_to {
        Some(Expr::Input(at)) => operation.inputs.get(usize::from(*at)),
        Some(_) | None => None,
    };
    let help = bound.map(|input| format!(": `{}` says how many items are enough", input.name)).unwrap_or_default();
    format!("the list has more than {MOST_PAGES} pages, and a part of it is not the whole{help}")
}

/// A number and so much more.
fn counted_on(number: Value, plus: i64) -> Value {
    match number {
        Value::Number(number) if plus != 0 => number.checked_add(plus.into()).map_or(Value::Missing, Value::Number),
        Value::Text(text) if plus != 0 => {
            let next = text.parse::<i64>().ok().and_then(|number| number.checked_add(plus));
            next.map_or(Value::Missing, |next| Value::text(next.to_string()))
        }
        other => other,
    }
}

/// The answer as JSON, and its items. `None` where there is no list.
fn read(operation: &Operation, answer: &HttpAnswer) -> Option<(Value, Vec<Value>)> {
    let json: Json = crate::json::read(&answer.body).ok()?;
    let document = Value::from_json(&json);
    match path_get(&document, &operation.answer.at) {
        Value::List(items) => Some((document, items.to_vec())),
        _ => None,
    }
}

/// An answer that holds all items where the first had its own.
fn whole(operation: &Operation, items: &[Value]) -> Json {
    let list = Json::Array(items.iter().map(Value::to_json).collect());
    operation.answer.at.0.iter().rev().fold(list, |inside, segment| match segment {
        flow_plan::Segment::Key(key) => Json::Object([(key.clone(), inside)].into_iter().collect()),
        flow_plan::Segment::Index(_) => Json::Array(vec![inside]),
    })
}

/// The number that the first page was asked for by. Pages are counted from one where nothing is said, and items from nothing.
fn first_number(operation: &Operation, pages: &Pages, scope: &dyn Scope) -> u32 {
    let declared = operation.request.query.iter().find(|field| field.name == pages.param);
    let number = declared.and_then(|field| match eval(&field.value, scope) {
        Ok(Value::Number(number)) => number.to_u32(),
        _ => None,
    });
    number.unwrap_or(u32::from(!pages.by_items))
}
