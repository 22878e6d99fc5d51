//! A query whose list has several pages: they are asked for one after another, and read as one answer.

use std::sync::Arc;

use flow_plan::{Operation, Pages, Value};
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value as Json;

use super::perform::AttemptScope;
use crate::connection::{Purpose, Target};
use crate::engine::{Engine, Shared};
use crate::eval::{Scope, eval, path_get};
use crate::journal::Outcome;
use crate::listing::{Wanted, is_enough};
use crate::live::LiveConnection;
use crate::poll::heard;
use crate::request;
use crate::world::{HttpAnswer, TransportError};

/// A list of more pages is cut off: nobody reads on who asked for so much.
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
    for _ in 1..MOST_PAGES {
        let is_last = page.is_empty() || pages.of.is_some_and(|of| page.len() < of as usize);
        let has_more = pages.more.as_ref().is_none_or(|more| path_get(&document, more) == Value::Bool(true));
        if is_last || !has_more || is_enough(listing, &items, &page, wanted) {
            break;
        }
        let next = if pages.counted {
            let by = if pages.by_items { u32::try_from(page.len()).unwrap_or(u32::MAX) } else { 1 };
            number = number.saturating_add(by);
            Value::text(number.to_string())
        } else if let Some(place) = &pages.from_answer {
            path_get(&document, place)
        } else {
            page.last().map(|last| path_get(last, &pages.from_last)).unwrap_or_default()
        };
        let next = match next {
            Value::Number(number) => Value::text(number.normalize().to_string()),
            other => other,
        };
        if !matches!(&next, Value::Text(text) if !text.is_empty()) {
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
        if pages.counted && answer.status == 404 {
            break;
        }
        // What is no page is read as the answer: it says what is wrong.
        if !(200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let Some((next_document, next_page)) = read(operation, &answer) else { return Ok(answer) };
        // A service that knows no pages answers with the same one for ever.
        if next_page == page {
            break;
        }
        items.extend(next_page.iter().cloned());
        (document, page) = (next_document, next_page);
    }
    Ok(HttpAnswer { body: whole(operation, &items).to_string().into(), ..first })
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
