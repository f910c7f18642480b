//! Of records that an API is called for.

use super::{Refusal, refusal};

/// What a record is told that could not be sent to an HTTP API, or that the API did not take.
pub const CALLS: &[Refusal] = &[
    refusal(
        "FIELD_FOR_REQUEST_MISSING",
        "the record has no field {name}, which the request needs",
        "URL, headers or body of the request have a place for a field that the record lacks.",
        "Correct the record; or make the field `required` in the schema, so that the schema says so.",
    ),
    refusal(
        "FIELD_FOR_REQUEST_NULL",
        "the field {name} is null, which a text cannot hold",
        "The field stands in a text, where null has no form.",
        "Correct the record; in a JSON body, a text that is exactly one field keeps null.",
    ),
    refusal(
        "FIELD_FOR_REQUEST_NOT_PLAIN",
        "the field {name} is a list or an object, which a URL or a header cannot hold",
        "Only text, numbers, true and false can stand there.",
        "Name a member, such as `{customer.id}`, or send the field in the body.",
    ),
    refusal(
        "CONTROL_CHARACTER_IN_HEADER",
        "{name} holds a line end or another control character, which a header cannot",
        "The field stands in a header, where a line end would begin another one.",
        "Correct the record, or send the field in the body.",
    ),
    refusal(
        "URL_LEAVES_PATH",
        "its URL would leave its path, since a field is {dots}",
        "The field is `.` or `..`, with which the URL would lead elsewhere.",
        "Correct the record.",
    ),
    refusal(
        "URL_LACKS_PART",
        "its URL would lack a part of its path, since a field is empty",
        "The field stands in the path and is empty, so that the URL would lead elsewhere.",
        "Correct the record; or give the field `minLength` in the schema, so that the schema says so.",
    ),
    refusal(
        "API_ANSWERED",
        "the API answered {answer…}",
        "The status of the response says that the API did not take the record; the response begins as shown.",
        "See what the API says. If the status means something else, say so in `statuses`; then `fanfold redrive`.",
    ),
    refusal(
        "API_NOT_REACHED",
        "the API was not reached: {reason…}",
        "No connection came about, or it ended before the request was sent.",
        "See whether the API is there, and whether the functions may reach it; then `fanfold redrive`.",
    ),
    refusal(
        "OUTCOME_UNKNOWN",
        "the outcome is unknown: {reason…}",
        "The request was sent, and no response says what came of it: the API may have done its work.",
        "`fanfold redrive` sends it with the same `Idempotency-Key`; for an API that does not know that header, give \
         `look_up`, or see there yourself first.",
    ),
];
