/** What is overdue, what is due today, and a look at the days that follow; all of it turns by itself. */
import { useQuery } from "convex/react";
import { useCallback, useState } from "react";

import { api } from "../../sync/api";
import type { Board, Task } from "../../sync/api";
import { dayLabel, longDate } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { TodayIcon } from "../../ui/icons";
import { Empty, Page, Section } from "../../ui/page";
import { dayChoices, WhenMenu } from "../../ui/when-menu";
import { TaskRow } from "./task-row";
import type { TaskRowProps } from "./task-row";
import styles from "./task-row.module.css";
import { useDayActions } from "./use-day-actions";

const DAYS_AHEAD = 7;

type TodayPageProps = Pick<TaskRowProps, "linkTo"> & { boards: readonly Board[] };

export const TodayPage = ({ boards, linkTo }: TodayPageProps) => {
  const overdue = useQuery(api.tasks.overdue, {});
  const today = useQuery(api.tasks.today, {});
  const upcoming = useQuery(api.tasks.upcoming, { days: DAYS_AHEAD });
  const home = useHomeDay();
  const actions = useDayActions();
  const [asked, setAsked] = useState<{ task: Task; anchor: DOMRect } | null>(null);
  const onReschedule = useCallback(
    (task: Task, anchor: DOMRect) => setAsked({ task, anchor }),
    [],
  );

  const date = today?.date ?? home.today;
  if (overdue === undefined || today === undefined) {
    return (
      <Page title="Today" aside={longDate(date)}>
        <div aria-busy="true" />
      </Page>
    );
  }
  const list = (tasks: readonly Task[], timeOnly: boolean) => (
    <ul className={styles.list}>
      {tasks.map((task) => (
        <TaskRow
          key={task._id}
          task={task}
          board={boards.find(({ _id }) => _id === task.board)}
          timeOnly={timeOnly}
          linkTo={linkTo}
          onComplete={actions.complete}
          onReschedule={onReschedule}
        />
      ))}
    </ul>
  );
  return (
    <Page title="Today" aside={longDate(date)}>
      {overdue.length > 0 && (
        <Section title="Overdue" tone="danger" count={overdue.length}>
          {list(overdue, false)}
        </Section>
      )}
      {today.tasks.length > 0 && (
        <Section title="Due today" count={today.tasks.length}>
          {list(today.tasks, true)}
        </Section>
      )}
      {overdue.length + today.tasks.length === 0 && (
        <Empty icon={<TodayIcon />} title="Nothing is due today">
          What has a date of today comes here by itself, and turns red when its time has passed.
        </Empty>
      )}
      {upcoming?.map((day) => (
        <Section key={day.date} title={dayLabel(day.date, date)}>
          {list(day.tasks, true)}
        </Section>
      ))}
      {asked !== null && (
        <WhenMenu
          label={`Reschedule ${asked.task.title}`}
          anchor={asked.anchor}
          choices={dayChoices(date, home.weekStarts, asked.task.due_time)}
          value={
            asked.task.due_date === null
              ? null
              : { date: asked.task.due_date, time: asked.task.due_time }
          }
          onPick={(when) => actions.reschedule(asked.task, when, date)}
          onClose={() => setAsked(null)}
        />
      )}
    </Page>
  );
};
