//! Who waits for reports, with calls that are surrounded.

use futures::FutureExt;

use crate::model::error::Result;
use crate::model::reporting::id::ReportId;
use crate::model::timestamp::Timestamp;
use crate::store::sockets::{Subscriber, Subscriptions};
use crate::store::surround::{Surround, Surrounded};

impl<T: Subscriptions, A: Surround> Subscriptions for Surrounded<T, A> {
    async fn subscribe(&self, report: &ReportId, subscriber: &Subscriber, now: Timestamp) -> Result<()> {
        self.around.call("sockets.subscribe", || self.store.subscribe(report, subscriber, now).boxed()).await
    }

    async fn note_told(&self, report: &ReportId, connection: &str, generation: u32) -> Result<()> {
        let note = || self.store.note_told(report, connection, generation).boxed();
        self.around.call("sockets.note_told", note).await
    }

    async fn unsubscribe(&self, report: &ReportId, connection: &str) -> Result<()> {
        self.around.call("sockets.unsubscribe", || self.store.unsubscribe(report, connection).boxed()).await
    }

    async fn subscribers(&self, report: &ReportId, now: Timestamp) -> Result<Vec<Subscriber>> {
        self.around.call("sockets.subscribers", || self.store.subscribers(report, now).boxed()).await
    }
}
