//! Events and packages, with calls that are surrounded.

use std::collections::BTreeMap;

use futures::FutureExt;

use crate::model::billing::admission::Admitted;
use crate::model::billing::aggregate::Aggregate;
use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::package::PackageId;
use crate::model::billing::sending::Sending;
use crate::model::error::Result;
use crate::model::timestamp::Timestamp;
use crate::store::billing::{Aggregates, Events, Insertion, Packages, Sealed, Unbilled};
use crate::store::surround::{Surround, Surrounded};

impl<T: Events, A: Surround> Events for Surrounded<T, A> {
    async fn keep(&self, event: &Admitted) -> Result<Insertion> {
        self.around.call("billing.keep", || self.store.keep(event).boxed()).await
    }

    async fn find(&self, event: &Admitted) -> Result<Insertion> {
        self.around.call("billing.find", || self.store.find(event).boxed()).await
    }

    async fn list(&self, event: &Admitted, why: &Unbilled) -> Result<()> {
        self.around.call("billing.list", || self.store.list(event, why).boxed()).await
    }

    async fn billed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<Admitted>> {
        self.around.call("billing.billed_in", || self.store.billed_in(client, half).boxed()).await
    }

    async fn listed_in(&self, client: &str, half: HalfMonth) -> Result<Vec<(Admitted, Unbilled)>> {
        self.around.call("billing.listed_in", || self.store.listed_in(client, half).boxed()).await
    }
}

impl<T: Packages, A: Surround> Packages for Surrounded<T, A> {
    async fn seal(&self, sealed: &Sealed) -> Result<String> {
        self.around.call("billing.seal", || self.store.seal(sealed).boxed()).await
    }

    async fn of(&self, client: &str, half: HalfMonth) -> Result<Vec<Sealed>> {
        self.around.call("billing.of", || self.store.of(client, half).boxed()).await
    }

    async fn read(&self, id: &PackageId) -> Result<Option<(Sealed, Sending)>> {
        self.around.call("billing.read", || self.store.read(id).boxed()).await
    }

    async fn write(&self, id: &PackageId, sending: &Sending) -> Result<bool> {
        self.around.call("billing.write", || self.store.write(id, sending).boxed()).await
    }

    async fn due(&self, at: Timestamp, most: usize) -> Result<Vec<PackageId>> {
        self.around.call("billing.due", || self.store.due(at, most).boxed()).await
    }
}

impl<T: Aggregates, A: Surround> Aggregates for Surrounded<T, A> {
    async fn used_in(&self, client: &str, half: HalfMonth) -> Result<BTreeMap<String, Aggregate>> {
        self.around.call("billing.used_in", || self.store.used_in(client, half).boxed()).await
    }

    async fn set(&self, client: &str, period: &str, row: &Aggregate) -> Result<bool> {
        self.around.call("billing.set", || self.store.set(client, period, row).boxed()).await
    }
}
