//! Of billing: how it is set up, and the records of its files.

use super::{Refusal, refusal};

/// What is said of the settings of `meter` and `bill`, after `PROCESSORS`.
pub const BILLING_SETTINGS: &[Refusal] = &[
    refusal(
        "METER_UNKNOWN",
        "meter: {name} is no setting; there is billed_by",
        "`meter` has a member that it does not know.",
        "Take it out.",
    ),
    refusal(
        "METER_WITHOUT_PIPELINE",
        "meter: billed_by must name the pipeline with the processor bill",
        "`meter` does not say where its events are billed.",
        "Name a pipeline with `bill` among its processors, as in `{\"meter\": {\"billed_by\": \"billing\"}}`.",
    ),
    refusal(
        "BILL_UNKNOWN",
        "bill: {name} is no setting; there is clients_of, usage_by, invoices",
        "`bill` has a member that it does not know.",
        "Take it out.",
    ),
    refusal(
        "BILL_WITHOUT_CLIENTS",
        "bill: clients_of must name the pipeline whose items are the terms",
        "`bill` does not say where the terms of clients are.",
        "Name a pipeline with `terms` and `items` among its processors, as in `{\"bill\": {\"clients_of\": \"clients\"}}`.",
    ),
    refusal(
        "BILL_USAGE_BY",
        "bill: usage_by must be \"day\" or \"hour\": hours are counted besides days",
        "`usage_by` of `bill` is something else.",
        "Leave it out for days, or say `\"hour\"`.",
    ),
    refusal(
        "INVOICES_NOT_OBJECT",
        "bill: invoices must be an object with url, look_up and rate",
        "`invoices` of `bill` is no object of settings.",
        "Give the settings of the API, or leave `invoices` out: then packages are sealed and not sent.",
    ),
    refusal(
        "INVOICES_NOT_SECONDS",
        "bill: invoices: {name} is {given}; it must be whole seconds, from 0 to {most}",
        "A time that the API promises is no number of seconds.",
        "Give a whole number of that range, or leave it out.",
    ),
    refusal(
        "INVOICES_SETTING_OF_HTTP",
        "bill: invoices: {name} is no setting here: a package is sent as it was sealed",
        "`http` has this setting, and `invoices` does not.",
        "Take it out.",
    ),
    refusal(
        "INVOICES_WITHOUT_RATE",
        "bill: invoices: rate must be a number: requests a second",
        "`rate` of `invoices` is null.",
        "Give the requests a second that the API takes.",
    ),
    refusal(
        "INVOICES_WITHOUT_LOOK_UP",
        "bill: invoices: look_up must be given: {what}",
        "Without a look-up, nobody knows what became of a request that had no answer.",
        "Give the request that finds an invoice by its package.",
    ),
    refusal(
        "INVOICES_TOO_SLOW",
        "bill: invoices: timeout is more than {most}: packages are sent a minute at a time",
        "A request may take so long that none would begin in time.",
        "Give fewer seconds; what the API makes after that is found by a look-up.",
    ),
    refusal(
        "INVOICES_FIELD",
        "bill: invoices: requests have {fields}, and a package has {known}",
        "A request has a place for a field that no package has.",
        "Name one of those listed.",
    ),
];

/// What the records of billing are told that failed.
pub const BILLING: &[Refusal] = &[
    refusal(
        "NO_TERMS",
        "these are no terms: {what…}",
        "The record of a client says something that cannot be billed by.",
        "Correct what is told, and upload the record again.",
    ),
    refusal(
        "NO_EVENT",
        "it is no event: {what…}",
        "The record lacks what an event has, or has it in another form; nothing was kept of it.",
        "Correct the members that are told, and send it again.",
    ),
    refusal(
        "EVENT_TAKEN",
        "it is not billed: another event has its source and id",
        "An event with the same `source` and `id` came before and says something else. That one is billed; this one is listed.",
        "If it is another event, give it an id of its own. If it corrects the first, send the difference as an event.",
    ),
    refusal(
        "EVENT_AHEAD",
        "it is not billed: its time, {time}, is {long} ahead of the clock; five minutes are taken",
        "The event lies in the future. It is listed.",
        "Set the clock of its source, or send it again when its time has come.",
    ),
    refusal(
        "EVENT_TOO_OLD",
        "it is not billed: its time, {time}, is {long} ago; at most {horizon} are taken",
        "The event is older than the client's `horizon_days`. It is listed.",
        "Give the client a longer `horizon_days` and send it again, or agree on it otherwise.",
    ),
    refusal(
        "EVENT_OF_NOBODY",
        "it is not billed: there is no client {client}; send it again once there is",
        "No terms are known of the client that `subject` names. The event is listed.",
        "Upload the client's terms, then `fanfold redrive`.",
    ),
    refusal(
        "NO_HALF",
        "it is no half month: {what…}",
        "The file has something else than half months of clients; `fanfold billing rerun` writes such files.",
        "Have half months closed by the command, or write records as it does.",
    ),
    refusal(
        "HALF_MOVING",
        "events came in, or a second run closed it, meanwhile{tries}",
        "The second look found other events than the first, or another run sealed a package meanwhile.",
        "`fanfold redrive` closes it; the next run does, too.",
    ),
    refusal(
        "BILLING_FAILED",
        "billing failed: {reason…}",
        "What billing works with could not be read or written, or is not what it was.",
        "Read the reason, correct it, then `fanfold redrive`.",
    ),
];
