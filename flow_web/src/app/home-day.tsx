/** Tells all pages which day it is at home, and offers this device's zone if none is set. */
import { useConvex, useQuery } from "convex/react";
import { useEffect, useMemo, useRef } from "react";
import type { ReactNode } from "react";

import { api } from "../sync/api";
import { deviceZone } from "../sync/device";
import { useByTheClock } from "../ui/clock";
import { dateIn } from "../ui/dates";
import { HomeDayContext } from "../ui/home-day";
import { useNotices } from "../ui/notices";

export const HomeDayProvider = ({ children }: { children: ReactNode }) => {
  const settings = useQuery(api.people.settings, {});
  const zone = settings?.home_zone_is_set === true ? settings.home_zone : deviceZone();
  const weekStarts = settings?.week_starts ?? "monday";
  const today = useByTheClock(() => dateIn(zone, Date.now()));
  useOfferedZone(settings?.home_zone_is_set);

  const day = useMemo(() => ({ zone, today, weekStarts }), [zone, today, weekStarts]);
  return <HomeDayContext value={day}>{children}</HomeDayContext>;
};

/** The server takes the zone of the first device; one that travels never moves anyone's day. */
const useOfferedZone = (isSet: boolean | undefined): void => {
  const client = useConvex();
  const { toast } = useNotices();
  const offered = useRef(false);

  useEffect(() => {
    if (isSet !== false || offered.current) {
      return;
    }
    offered.current = true;
    const zone = deviceZone();
    client.mutation(api.people.offer_zone, { zone }).then(
      () => toast(`Days begin and end by ${zone}, from this device. Settings can change it.`),
      // An old browser may name a zone that the server does not know: it stays unset, at UTC.
      () => undefined,
    );
  }, [client, isSet, toast]);
};
