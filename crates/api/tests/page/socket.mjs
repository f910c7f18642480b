// The server's end of a WebSocket, as far as the page needs one: it takes short texts, and sends texts of less than 64 KiB.
// <https://www.rfc-editor.org/rfc/rfc6455>

import { createHash } from "node:crypto";

const [TEXT, CLOSE] = [1, 8];
const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

function frame(kind, content) {
  const body = Buffer.from(content);
  const head = body.length < 126 ? [0x80 | kind, body.length] : [0x80 | kind, 126, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

/** Takes the frames of a client out of what came, which are masked, and returns them with what is left. */
function framesOf(buffer) {
  const frames = [];
  for (;;) {
    const length = 6 + (buffer[1] & 0x7f);
    if (!(buffer.length >= length)) return [frames, buffer];
    const mask = buffer.subarray(2, 6);
    const content = buffer.subarray(6, length).map((byte, at) => byte ^ mask[at % 4]);
    frames.push({ kind: buffer[0] & 0x0f, text: Buffer.from(content).toString("utf8") });
    buffer = buffer.subarray(length);
  }
}

/** Opens a connection that a request asks for. `onText` gets each text; what is returned sends one, and breaks it. */
export function accept({ headers }, stream, onText) {
  const key = createHash("sha1").update(headers["sec-websocket-key"] + MAGIC).digest("base64");
  const answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${key}`];
  stream.write(`${answer.join("\r\n")}\r\n\r\n`);
  let left = Buffer.alloc(0);
  stream.on("data", (piece) => {
    const [frames, rest] = framesOf(Buffer.concat([left, piece]));
    left = rest;
    for (const { kind, text } of frames) {
      if (kind === CLOSE) stream.end(frame(CLOSE, ""));
      if (kind === TEXT) onText(text);
    }
  });
  stream.on("error", () => stream.destroy());
  return { send: (text) => stream.write(frame(TEXT, text)), drop: () => stream.destroy() };
}
