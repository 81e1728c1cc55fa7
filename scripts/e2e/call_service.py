"""An unmodified JSON-RPC client for Python calls services through the plain door."""
import asyncio
import sys

from jsonrpc_base.jsonrpc import ProtocolError
from jsonrpc_websocket import Server


async def main(url):
    server = Server(url)
    await server.ws_connect()
    try:
        customer = await server.customer(customer="c-3")
        assert customer["name"] == "Two Rivers Canteen", customer
        answers = await asyncio.gather(*(server.echo(n=n, text="häl\u2028lo 🙂") for n in range(50)))
        assert answers == [{"n": n, "text": "häl\u2028lo 🙂"} for n in range(50)], answers
        assert await server.echo(1, [2]) == [1, [2]]
        try:
            await server.nosuch()
        except ProtocolError as error:
            assert error.args[0] == -32601, error.args
        else:
            raise AssertionError("an unknown service was served")
    finally:
        await server.close()
    print("jsonrpc-websocket: ok")


asyncio.run(main(sys.argv[1]))
