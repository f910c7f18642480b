//! Events that others put on the queue of records, without a request.

use fanfold::model::billing::admission::Terms;
use fanfold::model::error::{Error, Result};
use fanfold::model::schema::RecordSchema;
use fanfold::model::timestamp::Timestamp;
use fanfold::processor::billing::metering::Metering;
use fanfold::stage::records::Records;
use fanfold::stage::{Disposition, Stage, sort};
use fanfold::store::billing::Clients;
use fanfold::store::billing::memory::MemoryBilling;
use fanfold::store::channel::Delivery;
use fanfold::store::clock::SystemClock;
use fanfold::store::requests::memory::MemoryRequests;
use serde_json::json;

/// Terms of one client, which cannot be read just now, or are not there yet.
#[derive(Clone, Copy)]
enum Agreed {
    Nothing,
    Terms,
    Denied,
}

impl Clients for Agreed {
    async fn terms(&self, _client: &str) -> Result<Option<Terms>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Terms => Ok(Some(Terms::parse(json!({"zone": "UTC"}).as_object().unwrap()).unwrap())),
            Self::Denied => Err(Error::new(fanfold::model::error::ErrorKind::Denied, "not allowed to read")),
        }
    }

    async fn all(&self) -> Result<Vec<(String, Option<Terms>)>> {
        Ok(Vec::new())
    }
}

/// What becomes of a message.
async fn sent(store: &MemoryBilling, requests: &MemoryRequests, clients: Agreed, body: &str, events: bool) -> String {
    let processor = Metering::new(store.clone(), clients, SystemClock);
    let schema = RecordSchema::parse("{}", "id").unwrap();
    let stage = Records { requests: requests.clone(), processor, clock: SystemClock, schema, width: 3, events };
    let delivery =
        Delivery { id: "m".into(), receipt: "r".into(), body: body.to_owned(), attempt: 1, first_received: None };
    let deliveries = [delivery];
    let sorted = sort(&stage, &deliveries);
    let mut ends: Vec<Disposition> = sorted.rest.into_iter().map(|(_, end)| end).collect();
    for pack in sorted.packs {
        ends.extend(stage.handle_pack(&pack, Timestamp(i64::MAX)).await);
    }
    format!("{:?}", ends.pop().unwrap())
}

/// Before there are terms, an event is listed; sent again, it is kept. Nothing is known of a request.
#[tokio::test]
async fn an_event_by_itself_is_kept_once_its_client_is_known() {
    let (store, requests) = (MemoryBilling::new(), MemoryRequests::new());
    let event = json!({
        "specversion": "1.0", "source": "/m", "id": "1", "subject": "anna", "type": "kwh", "time": jiff::Timestamp::now().to_string(),
        "data": {"quantity": "1.5"},
    })
    .to_string();
    assert_eq!(sent(&store, &requests, Agreed::Nothing, &event, true).await, "Done");
    assert_eq!((store.events().len(), store.listed().len()), (0, 1));
    let denied = sent(&store, &requests, Agreed::Denied, &event, true).await;
    assert!(denied.starts_with("Retry"), "{denied}");
    for _ in 0..2 {
        assert_eq!(sent(&store, &requests, Agreed::Terms, &event, true).await, "Done");
    }
    assert_eq!((store.events().len(), requests.all().len()), (1, 0));
    let wrong = sent(&store, &requests, Agreed::Terms, &event.replace("1.5", "much"), true).await;
    assert!(wrong.starts_with("Rejected") && wrong.contains("the message is no event"), "{wrong}");
    let stranger = sent(&store, &requests, Agreed::Terms, &event, false).await;
    assert!(stranger.starts_with("Rejected"), "a pipeline that keeps no events does not know it: {stranger}");
}
