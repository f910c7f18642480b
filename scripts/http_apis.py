"""HTTP APIs with a named stage, of which the path that a function is told begins with the stage; and WebSocket APIs, of which it is told a
host name: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html

AWS's page shows an event of the stage $default alone, which is no part of the path:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html. Events of other stages are in
https://github.com/aws-powertools/powertools-lambda-python/issues/621 and https://github.com/logandk/serverless-wsgi/issues/191.
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


def install():
    """Makes this process's MiniStack tell functions paths and hosts as gateways do."""
    from ministack.core.responses import get_region
    from ministack.services import apigateway

    apigateway._invoke_lambda_proxy = staged(apigateway._invoke_lambda_proxy)
    apigateway._ws_request_context = named(apigateway._ws_request_context, get_region)
