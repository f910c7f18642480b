"""HTTP APIs with a named stage, of which the path that a function is told begins with the stage; and WebSocket APIs, of which it is told a
host name: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html

AWS's page shows an event of the stage $default alone, which is no part of the path:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html. Events of other stages are in
https://github.com/aws-powertools/powertools-lambda-python/issues/621 and https://github.com/logandk/serverless-wsgi/issues/191.

The address of a function, which tells it who signed a request: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""


def staged(invoke):
    """MiniStack's call of a function, told the path as AWS does."""
    async def invoked(integration, api, stage, path, *request, **how):
        return await invoke(integration, api, stage, path if stage == "$default" else f"/{stage}{path}", *request, **how)

    return invoked


def named(context, region):
    """MiniStack's context of a WebSocket event, with a name in place of one that ends like an address."""
    def told(api, *event):
        return {**context(api, *event), "domainName": f"{api}.execute-api.{region()}.amazonaws.com"}

    return told


def signed(event_of, caller):
    """MiniStack's event of a request to a function's address, with whoever signed it, as `caller` finds out."""
    def told(url, account, region, method, path, headers, body, query, *more, anonymous=False, **how):
        event = event_of(url, account, region, method, path, headers, body, query, *more, anonymous=anonymous, **how)
        if not anonymous:
            event["requestContext"]["authorizer"] = {"iam": caller(headers, query)}
        return event

    return told


def install():
    """Makes this process's MiniStack tell functions paths, hosts and callers as gateways do."""
    from ministack.core.responses import get_region
    from ministack.services import apigateway, lambda_svc

    apigateway._invoke_lambda_proxy = staged(apigateway._invoke_lambda_proxy)
    apigateway._ws_request_context = named(apigateway._ws_request_context, get_region)
    lambda_svc._build_function_url_event = signed(lambda_svc._build_function_url_event, apigateway._iam_caller_identity_v2)
