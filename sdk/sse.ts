/** An event of a stream, with its data as text. */
export interface RawEvent {
  /** undefined before the stream named any */
  id: string | undefined;
  type: string;
  data: string;
}

/** Where a stream is: what a new connection must know of the one before. */
export interface Position {
  id: string | undefined;
  /** the server's wish; milliseconds */
  retryMs: number;
}

const LENGTH_MAX = 1024 * 1024;

/**
 * Reads `text/event-stream` as the HTML standard says. The function returned takes the next bytes,
 * cut wherever they are, and gives the events that are complete now; `position` moves with each of
 * them. It throws when a line or an event becomes larger than any of ours.
 */
export function createParser(position: Position): (bytes: Uint8Array) => RawEvent[] {
  const decoder = new TextDecoder(); // takes a byte order mark away
  let rest = '';
  let endedInCr = false;
  let { id } = position;
  let type = '';
  let data: string[] = [];
  let size = 0;

  function take(line: string): RawEvent | undefined {
    if (line === '') {
      position.id = id;
      const event = { id, type: type || 'message', data: data.join('\n') };
      const isEvent = data.length > 0;
      type = '';
      data = [];
      size = 0;
      return isEvent ? event : undefined;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'data') {
      data.push(value);
      size += value.length;
    } else if (field === 'event') type = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) position.retryMs = Number(value);
    return undefined;
  }

  return (bytes) => {
    let text = decoder.decode(bytes, { stream: true });
    if (text === '') return [];
    // CR ends a line at once; an LF that comes after it, perhaps much later, belongs to it
    if (endedInCr && text[0] === '\n') text = text.slice(1);
    endedInCr = text === '' ? false : text.endsWith('\r');
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = rest + lines[0];
    rest = lines.pop() ?? '';
    const events = lines.map(take).filter((event) => event !== undefined);
    if (rest.length + size > LENGTH_MAX) throw new Error('The event is too large.');
    return events;
  };
}
