//! What is done with a record.

use fanfold::model::error::Result;
use fanfold::processor::{Record, Reply};
use serde_json::Value;

/// Adds to a record whether its price is high. One without a price that makes sense fails, with the reason, and is written to
/// `failed.*`; the others of its file go on.
///
/// An `Err` would have the whole chunk repeated, as after a call that timed out.
pub async fn enrich(record: Record) -> Result<Reply> {
    let price = record.fields.get("price").and_then(Value::as_f64);
    let Some(price) = price.filter(|price| *price >= 0.0) else {
        return Ok(Reply::Failed("price must be a number that is not negative".to_owned()));
    };
    let mut item = record.fields;
    item.insert("expensive".to_owned(), (price >= 100.0).into());
    Ok(Reply::Replaced { item, result: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::processor::Tried;

    async fn enriched(fields: Value) -> Reply {
        let Value::Object(fields) = fields else { panic!("no object") };
        enrich(Record { index: 0, key: "a".to_owned(), fields, tried: Tried::default() }).await.unwrap()
    }

    #[tokio::test]
    async fn a_record_gets_a_field_or_a_reason() {
        for (price, expensive) in [(99.99, false), (100.0, true)] {
            let reply = enriched(serde_json::json!({"itemNo": "a", "price": price})).await;
            let Reply::Replaced { item, .. } = reply else { panic!("{reply:?}") };
            assert_eq!((item["itemNo"].as_str(), &item["expensive"]), (Some("a"), &Value::Bool(expensive)));
        }
        for wrong in [serde_json::json!({"price": -1}), serde_json::json!({"price": "free"}), serde_json::json!({})] {
            let reply = enriched(wrong).await;
            assert!(matches!(&reply, Reply::Failed(reason) if reason.starts_with("price must be")), "{reply:?}");
        }
    }
}
