//! Meters whose calls are surrounded.

use futures::FutureExt;

use crate::model::error::Result;
use crate::model::timestamp::Timestamp;
use crate::store::meter::{Ask, Lease, Meter, Reserved, Want};
use crate::store::surround::{Surround, Surrounded};

impl<T: Meter, A: Surround> Meter for Surrounded<T, A> {
    async fn reserve(&self, name: &str, ask: Ask, now: Timestamp) -> Result<Reserved> {
        self.around.call("meter.reserve", || self.store.reserve(name, ask, now).boxed()).await
    }

    async fn hold(&self, name: &str, until: Timestamp) -> Result<()> {
        self.around.call("meter.hold", || self.store.hold(name, until).boxed()).await
    }

    async fn lease(&self, name: &str, lease: &Lease, want: Want, now: Timestamp) -> Result<u32> {
        self.around.call("meter.lease", || self.store.lease(name, lease, want, now).boxed()).await
    }
}
