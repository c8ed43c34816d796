import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/** In the data folder: the authority's certificate, which phones and curl may be told to trust. */
export const CA_FILE = 'lan-ca.crt';

export interface LanAddress {
  address: string;
  /** the network card's name, for whoever has to choose */
  card: string;
  /** only this machine reaches it */
  isInternal: boolean;
}

// bridges of containers and virtual machines, tunnels: a phone beside us is not in there
const VIRTUAL =
  /^(docker|br-|veth|virbr|vmnet|vbox|lxc|lxd|cni|flannel|podman|tun|tap|utun|wg|tailscale|zt|bridge)/i;
const WIRELESS = /^(wl|wi-?fi|wlan|en0$)/i;
/** The ranges that home and shop networks use. */
const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/;
const LINK_LOCAL = /^169\.254\./;

/** This machine's IPv4 addresses; the one that a phone most likely reaches comes first. */
export function lanAddresses(interfaces: Interfaces = networkInterfaces()): LanAddress[] {
  const all = Object.entries(interfaces).flatMap(([card, infos = []]) =>
    infos
      .filter(({ family }) => family === 'IPv4')
      .map(({ address, internal }) => ({ address, card, isInternal: internal })),
  );
  return all.sort((a, b) => rank(a) - rank(b));
}

function rank({ address, card, isInternal }: LanAddress): number {
  return (
    (isInternal ? 100 : 0) +
    (LINK_LOCAL.test(address) ? 50 : 0) +
    (VIRTUAL.test(card) ? 20 : 0) +
    (PRIVATE.test(address) ? 0 : 10) +
    (WIRELESS.test(card) ? 0 : 1)
  );
}
