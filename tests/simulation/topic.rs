//! A topic in front of a queue: each message arrives at least once, most of them at once and some much later
//! (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>).

use fanfold::store::channel::Outgoing;

use super::state::State;

/// Of so many messages, one arrives twice.
const TWICE: u32 = 20;
/// Of so many, one is late, and by how many milliseconds at most.
const LATE: (u32, i64) = (10, 3_600_000);

impl State {
    pub fn publish(&mut self, queue: usize, message: Outgoing) {
        if self.rng.u32(..TWICE) == 0 {
            self.deliver(queue, message.clone());
        }
        self.deliver(queue, message);
    }

    fn deliver(&mut self, queue: usize, message: Outgoing) {
        let before = self.queues[queue].messages.len();
        self.send(queue, message);
        // A message may have been lost.
        let Some(arrived) = self.queues[queue].messages.get_mut(before) else {
            return;
        };
        if self.rng.u32(..LATE.0) == 0 {
            arrived.visible_at += self.rng.i64(..LATE.1);
            let at = arrived.visible_at;
            self.poll_later(queue, at);
        }
    }
}
