/** A line of `deliveries.txt`: at which byte of `deliveries.bin` the delivery of a position begins, and how many bytes it has. One follows on the other, in the order of their positions. */
export interface DeliveryLine {
  readonly position: number;
  readonly offset: number;
  readonly length: number;
}

const LINE = /^([1-9][0-9]{0,15}) ([0-9]{1,16}) ([0-9]{1,16})$/;

export const writeDeliveryLine = ({ position, offset, length }: DeliveryLine): string => `${position} ${offset} ${length}\n`;

/** Null: it is none. */
export function readDeliveryLine(text: string): DeliveryLine | null {
  const [, position, offset, length] = LINE.exec(text) ?? [];
  return position === undefined ? null : { position: Number(position), offset: Number(offset), length: Number(length) };
}
