//! Of the settings of the processor `http`.

use super::{Refusal, refusal};

/// What is said of the settings of `http`.
pub const HTTP_SETTINGS: &[Refusal] = &[
    refusal(
        "UNKNOWN_HTTP_SETTING",
        "{name} is no setting of {whose}; there is {names}",
        "`http`, or its `look_up`, has a member that it does not know.",
        "Correct its spelling, or take it out. A look-up carries no `body`.",
    ),
    refusal(
        "URL_NOT_GIVEN",
        "url must be given, such as \"https://api.example.com/orders/{id}\"",
        "`http`, or its `look_up`, has no `url`, or one that is no text; or `http` is no object of settings.",
        "Give the URL of the API, with fields of the record in braces.",
    ),
    refusal(
        "URL_NOT_HTTPS",
        "it must begin with https://, and with scheme and host in plain text",
        "The URL has another scheme, none, or one that a record would fill.",
        "Write scheme and host out. APIs of several hosts need a pipeline each.",
    ),
    refusal(
        "URL_WITH_PASSWORD",
        "a name and password cannot stand before its host; give them in a header",
        "The URL would show them wherever it is told.",
        "Give an `Authorization` header, with `{@secret.name}` in it.",
    ),
    refusal(
        "URL_WITHOUT_HOST",
        "{host} is no host; fields can stand in its path and query only",
        "The host is empty, has a sign that hosts do not have, or would be filled by a record.",
        "Write the host out. APIs of several hosts need a pipeline each.",
    ),
    refusal(
        "URL_PORT_WRONG",
        "its port must be a number from 1 to 65535",
        "What follows the host and a colon is no port.",
        "Correct it, or leave it out with the colon.",
    ),
    refusal(
        "URL_NOT_ENCRYPTED",
        "it is not encrypted; use https://, or \"insecure\": true if the network is safe",
        "Records, and secrets, would be readable on their way.",
        "Use `https://`. Within a network of your own, `insecure` says that you mean it.",
    ),
    refusal(
        "URL_WITH_FRAGMENT",
        "a fragment (#) is not sent; leave it out",
        "What follows `#` in a URL is for a browser.",
        "Leave it out; write `%23` if it belongs to the path.",
    ),
    refusal(
        "URL_NOT_ENCODED",
        "{sign} must be percent-encoded",
        "The URL has a space, a letter that is not ASCII, or another sign that cannot stand in a URL.",
        "Write its bytes in UTF-8, such as `%20`. Values of fields are encoded by fanfold.",
    ),
    refusal(
        "TEMPLATE_WITHOUT_FIELD",
        "{} names no field; braces are written as {{ and }}",
        "A URL, a header or a text of the body has braces with nothing between them.",
        "Name a field, or double the braces if they are meant.",
    ),
    refusal(
        "TEMPLATE_WITH_LONE_BRACE",
        "a {brace} stands alone; braces are written as {{ and }}",
        "A URL, a header or a text of the body has a brace without its other half.",
        "Add the other half, or double it if it is meant.",
    ),
    refusal(
        "TEMPLATE_UNKNOWN_VALUE",
        "{value} is not known; there is {@task}, {@batch}, {@index} and {@secret.name}",
        "What begins with `@` is fanfold's own, and it has no value of this name.",
        "Give one of those listed.",
    ),
    refusal(
        "TEMPLATE_UNKNOWN_SECRET",
        "{value} is not among secrets; add it there",
        "A URL, a header or the body uses a secret, and `secrets` does not say where it is kept.",
        "Add its name and ARN to `secrets`, or correct its name.",
    ),
    refusal(
        "METHOD_UNKNOWN",
        "method is {name}; it can be {names}",
        "No method has this name; names have capital letters.",
        "Give one of those listed.",
    ),
    refusal(
        "HEADERS_NOT_OBJECT",
        "headers must be an object such as {\"X-Tenant\":\"{tenant}\"}",
        "`headers` is a list, a text or the like.",
        "Write an object of names and texts.",
    ),
    refusal(
        "HEADER_MISNAMED",
        "{name} is no name of a header; use letters, digits and hyphens",
        "The name of a header is empty, or has a space, a colon or the like.",
        "Correct it.",
    ),
    refusal(
        "HEADER_OF_FANFOLD",
        "{name} is set by fanfold; leave it out",
        "The header belongs to the connection, or is one that fanfold sends with each record.",
        "Take it out.",
    ),
    refusal(
        "HEADER_TWICE",
        "{name} is given twice, since letter case makes no difference; leave one out",
        "Two names of headers differ in capital letters only.",
        "Take one out, or join their values with a comma, if the API takes that.",
    ),
    refusal(
        "HEADER_NOT_A_TEXT",
        "{name} must be a text without line ends",
        "The value of a header is no text, or would begin another header.",
        "Write a text in quotes, on one line.",
    ),
    refusal(
        "RATE_NOT_GIVEN",
        "rate must be given: calls per second over all functions, or null for no limit",
        "As many functions would call the API as there can be, which few APIs bear.",
        "Give what the API allows.",
    ),
    refusal(
        "RATE_OUT_OF_RANGE",
        "rate is {rate}; it must be calls per second, above 0 and at most {most}",
        "The setting is no number, or not one that can be used.",
        "Give a number of that range; it may be a fraction, such as `0.5`.",
    ),
    refusal(
        "CONCURRENCY_OUT_OF_RANGE",
        "concurrency is {calls}; it must be calls at once, from 1 to {most}",
        "The setting is no whole number, or not one that can be used.",
        "Give a number of that range, or leave the setting out.",
    ),
    refusal(
        "TIMEOUT_OUT_OF_RANGE",
        "timeout is {seconds}; it must be seconds, from 0.1 to {most}",
        "The setting is no number, or not one that can be used.",
        "Give a number of that range without a unit, or leave the setting out, which means 10.",
    ),
    refusal(
        "INSECURE_NOT_BOOLEAN",
        "insecure must be true or false",
        "The setting is a text, a number or the like.",
        "Write `true` without quotes, or leave the setting out.",
    ),
    refusal(
        "STATUSES_NOT_OBJECT",
        "statuses must be an object such as {\"409\":\"succeeded\",\"500-599\":\"temporary\"}",
        "`statuses` is a list, a text or the like.",
        "Write an object of statuses and what they mean.",
    ),
    refusal(
        "STATUS_UNKNOWN",
        "{statuses} is no status and no range of them such as \"500-599\"",
        "A name in `statuses` is no number from 200 to 599, and not two of them with a hyphen between.",
        "Correct it.",
    ),
    refusal(
        "STATUS_CLASS_UNKNOWN",
        "{statuses} is {class}; it can be succeeded, permanent, temporary or busy",
        "`statuses` says what a status means by one of these four words.",
        "Give one of them.",
    ),
    refusal(
        "STATUSES_OVERLAP",
        "{statuses} and {others} overlap; give each status once",
        "Two names in `statuses` have a status in common.",
        "Divide the ranges so that none is within another.",
    ),
    refusal(
        "LOOK_UP_NOT_OBJECT",
        "look_up must be an object such as {\"url\":\"https://api.example.com/orders/{id}\"}",
        "`look_up` is a text or the like.",
        "Write an object with `url`.",
    ),
    refusal(
        "LOOK_UP_STATUSES_NOT_LIST",
        "{name} must be a list of statuses such as [200,\"202-204\"]",
        "`found` or `absent` of `look_up` is no list, an empty one, or has something else in it.",
        "Write a list, or leave it out: `found` is 200 then, and `absent` 404.",
    ),
    refusal(
        "LOOK_UP_STATUSES_OVERLAP",
        "found and absent overlap; give each status to one of them",
        "A status would say both that the API has the record and that it does not. What is left out counts too: `found` is 200 then, \
         and `absent` 404.",
        "Take it from one of them.",
    ),
    refusal(
        "SECRETS_NOT_OBJECT",
        "secrets must be an object such as {\"token\":\"arn:aws:ssm:eu-west-1:123456789012:parameter/token\"}",
        "`secrets` is a list, a text or the like.",
        "Write an object of names, as templates use them, and ARNs.",
    ),
    refusal(
        "SECRET_NOT_AN_ARN",
        "it must be the ARN of a parameter or a secret, such as arn:aws:ssm:eu-west-1:123456789012:parameter/name or \
         arn:aws:secretsmanager:…:secret:name-AbCdEf#member",
        "The secret itself stands there, or the name of what keeps it. Settings are no place for a secret.",
        "Keep it in Systems Manager or Secrets Manager, and give that ARN. Change the secret if it was written there.",
    ),
    refusal(
        "SECRET_OF_OTHER_REGION",
        "secrets must be kept in {region}, where the functions are: {secrets}",
        "Functions ask for secrets in their own region only; those named are elsewhere.",
        "Keep a copy where the pipeline is, and give its ARN. Secrets Manager can replicate a secret.",
    ),
];
