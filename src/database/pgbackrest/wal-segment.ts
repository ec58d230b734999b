/** A segment's name is timeline, log and number, 8 hex digits each (Postgres, xlog_internal.h: XLogFileName). */
const BYTES_OF_A_LOG = 0x1_0000_0000;

/** Name of the segment that holds the byte at this position of the WAL. Pure. */
export function segmentAt(timeline: string, lsn: string, segmentBytes: number): string {
  const [high, low] = lsn.split('/').map((part) => Number.parseInt(part, 16)) as [number, number];
  return nameOf(
    timeline,
    high * (BYTES_OF_A_LOG / segmentBytes) + Math.floor(low / segmentBytes),
    segmentBytes,
  );
}

/** All of one timeline, both ends included; none when they are of different timelines or in the wrong order. Pure. */
export function segmentsBetween(first: string, last: string, segmentBytes: number): string[] {
  if (timelineOf(first) !== timelineOf(last)) return [];
  const from = numberOf(first, segmentBytes);
  const length = Math.max(0, numberOf(last, segmentBytes) - from + 1);
  return Array.from({ length }, (_, index) => nameOf(timelineOf(first), from + index, segmentBytes));
}

export function segmentAfter(segment: string, segmentBytes: number): string {
  return nameOf(timelineOf(segment), numberOf(segment, segmentBytes) + 1, segmentBytes);
}

export function timelineOf(segment: string): string {
  return segment.slice(0, 8);
}

function numberOf(segment: string, segmentBytes: number): number {
  const [log, number] = [segment.slice(8, 16), segment.slice(16)].map((part) => Number.parseInt(part, 16));
  return log! * (BYTES_OF_A_LOG / segmentBytes) + number!;
}

function nameOf(timeline: string, number: number, segmentBytes: number): string {
  const each = BYTES_OF_A_LOG / segmentBytes;
  return `${timeline}${hex(Math.floor(number / each))}${hex(number % each)}`;
}

function hex(number: number): string {
  return number.toString(16).toUpperCase().padStart(8, '0');
}
