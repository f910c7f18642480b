//! Events and packages, with calls that are surrounded.

use futures::FutureExt;
use jiff::civil::Date;

use crate::model::billing::admission::Admitted;
use crate::model::billing::calendar::HalfMonth;
use crate::model::billing::package::PackageId;
use crate::model::billing::sending::Sending;
use crate::model::error::Result;
use crate::model::timestamp::Timestamp;
use crate::store::billing::{Events, Insertion, Packages, Sealed, Unbilled};
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

    async fn on(&self, client: &str, day: Date) -> Result<Vec<Admitted>> {
        self.around.call("billing.on", || self.store.on(client, day).boxed()).await
    }

    async fn listed_on(&self, client: &str, day: Date) -> Result<Vec<(Admitted, Unbilled)>> {
        self.around.call("billing.listed_on", || self.store.listed_on(client, day).boxed()).await
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
