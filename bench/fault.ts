/** The bench was asked for something that cannot be; the message says what can, `exit` is its code. */
export class BenchFault extends Error {
  readonly exit: number;
  constructor(message: string, exit: 64 | 69 | 78) {
    super(message);
    this.exit = exit;
  }
}
