export interface LineProps {
  /** the path, on a grid of 24 × 24 */
  path: string;
  /** width and height in CSS pixels */
  size?: number | undefined;
  /** of the stroke, in units of the grid */
  width?: string;
  /** what it stands for, where no text beside it says so */
  label?: string | undefined;
  class?: string | undefined;
}

/** A drawing of one line, in the colour of the text around it. */
export function Line({ path, size = 24, width = '2', label, class: className }: LineProps) {
  return (
    <svg
      class={className ? `icon ${className}` : 'icon'}
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width={width}
      stroke-linecap="round"
      stroke-linejoin="round"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      <path d={path} />
    </svg>
  );
}
