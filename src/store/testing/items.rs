//! The contract of `Items`; the key field is `itemNo`.

use crate::model::ids::BatchId;
use crate::model::item::Item;
use crate::model::timestamp::Timestamp;
use crate::store::items::{Items, WriteReport};
use serde_json::{Value, json};

/// Checks that an items table keeps its contract.
///
/// # Panics
/// If it does not.
pub async fn all(items: &impl Items) {
    every_field_comes_back(items).await;
    more_than_one_request_holds(items).await;
    the_last_write_replaces_the_item(items).await;
}

fn item(key: &str, index: u64, mut fields: Value) -> Item {
    fields["itemNo"] = json!(key);
    Item {
        key: key.to_owned(),
        fields: fields.as_object().unwrap().clone(),
        batch: BatchId::parse("orders-0123456789ab").unwrap(),
        index,
        updated_at: Timestamp(1_700_000_000_123),
        sequence: Timestamp(1_700_000_000_000),
    }
}

/// Writes items that the table has to take at once.
async fn written(items: &impl Items, some: &[Item]) {
    assert_eq!(items.write(some).await.unwrap(), WriteReport::default());
}

/// Checks what a table in ordered mode promises beyond that.
pub async fn ordered(items: &impl Items) {
    let of = |batch: &str, sequence: i64, index: u64| Item {
        batch: BatchId::parse(&format!("{batch}-0123456789ab")).unwrap(),
        sequence: Timestamp(sequence),
        ..item("order", index, json!({"by": format!("{batch}{index}")}))
    };
    let writes = [
        (of("b", 200, 7), "b7"),
        (of("b", 200, 3), "b7"),
        (of("a", 100, 9), "b7"),
        (of("b", 200, 7), "b7"),
        (of("b", 200, 8), "b8"),
        (of("c", 200, 0), "c0"),
        (of("d", 1_000, 0), "d0"),
    ];
    for (write, kept) in writes {
        let beside = item(&format!("beside {}", write.batch), 1, json!({}));
        written(items, &[write.clone(), beside.clone()]).await;
        let read = items.read("order").await.unwrap().unwrap();
        assert_eq!(read.fields["by"], json!(kept), "after {:?}", write.order());
        assert_eq!(items.read(&beside.key).await.unwrap().unwrap().index, 1);
    }
    let read = items.read("order").await.unwrap().unwrap();
    assert_eq!((read.sequence, read.fields.len()), (Timestamp(1_000), 2), "the order is no field");
}

async fn every_field_comes_back(items: &impl Items) {
    let fields: Value = serde_json::from_str(
        r#"{"price":12.50,"big":12345678901234567890123456789012345678,"neg":-0.001,"text":"für\n\"x\"","empty":"",
            "yes":true,"nothing":null,"list":[1,"a",{"b":[]}],"map":{"x":{"y":1}}}"#,
    )
    .unwrap();
    let all = item("fields", 7, fields);
    written(items, std::slice::from_ref(&all)).await;
    let read = items.read("fields").await.unwrap().unwrap();
    assert_eq!((&read.key, &read.batch, read.index), (&all.key, &all.batch, 7));
    assert_eq!(read.updated_at, all.updated_at);
    let number = |value: &Value| value.to_string().parse::<f64>().unwrap();
    for (name, value) in &all.fields {
        match value {
            // DynamoDB drops insignificant zeros, and no other digit.
            Value::Number(_) => assert_eq!(number(&read.fields[name]), number(value), "{name}"),
            _ => assert_eq!(&read.fields[name], value, "{name}"),
        }
    }
    assert_eq!(read.fields["big"].to_string(), "12345678901234567890123456789012345678");
    assert_eq!(read.fields.len(), all.fields.len());
    assert_eq!(items.read("nobody").await.unwrap(), None);
}

async fn more_than_one_request_holds(items: &impl Items) {
    let many: Vec<Item> = (0..137).map(|n| item(&format!("many-{n}"), n, json!({"n": n}))).collect();
    for some in many.chunks(items.most().min(many.len())) {
        written(items, some).await;
    }
    for item in &many {
        let read = items.read(&item.key).await.unwrap().unwrap();
        assert_eq!(read.index, item.index);
    }
    written(items, &[]).await;
}

async fn the_last_write_replaces_the_item(items: &impl Items) {
    written(items, &[item("twice", 1, json!({"old": 1}))]).await;
    written(items, &[item("twice", 2, json!({"new": 2}))]).await;
    let read = items.read("twice").await.unwrap().unwrap();
    assert_eq!(read.index, 2);
    assert!(!read.fields.contains_key("old"));
}
