// How panels are drawn. Every chart is a picture to assistive programs: what it says stands beside it as a sentence and as a table.

import * as echarts from 'echarts/core';
import { BarChart, HeatmapChart, LineChart, MapChart, PieChart, ScatterChart, TreemapChart } from 'echarts/charts';
import { GeoComponent, GridComponent, LegendComponent, TooltipComponent, VisualMapComponent } from 'echarts/components';
import { CanvasRenderer } from 'echarts/renderers';
import { number, piece, step, withUnit } from './format.js';
import { stacks } from './tables.js';
import { is, isPlace } from './view.js';

echarts.use([
  BarChart, HeatmapChart, LineChart, MapChart, PieChart, ScatterChart, TreemapChart,
  GeoComponent, GridComponent, LegendComponent, TooltipComponent, VisualMapComponent, CanvasRenderer,
]);

const PALETTES = {
  light: ['#0b5cad', '#c2570c', '#1a7f37', '#8a3ffc', '#a0195b', '#00727a', '#7a5c00', '#5b6570', '#b3261e', '#3949ab', '#9aa2ac'],
  dark: ['#7cb7ff', '#ffab6b', '#6fdd8b', '#c8a6ff', '#ff8fbf', '#5fd4dd', '#e5c55b', '#a9b2bd', '#ff9d94', '#9fa8ff', '#6d7681'],
};
// What these values mean is the same on every panel.
const MEANINGS = { success: 2, failure: 8, unknown: 7 };

// Countries of the outline by their codes, once it is there. What failed is asked for again.
let titles = null;
async function world() {
  if (titles) return;
  const answer = await fetch('/world.json');
  if (!answer.ok) throw new Error(`the outline of countries: ${answer.status}`);
  const map = await answer.json();
  echarts.registerMap('world', map);
  titles = new Map(map.features.map(({ properties }) => [properties.name, properties.title]));
}

/** Countries that are too small for the outline. */
export const outside = (answer) => answer.rows.filter(({ key }) => titles && !titles.has(key));

function colors() {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'dark' : 'light';
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    palette: PALETTES[theme], text: of('--text'), soft: of('--soft'), line: of('--line'), panel: of('--panel'), mark: of('--mark'), bad: of('--bad'),
    shades: theme === 'dark' ? ['#1c2b3d', '#2f6db3', '#a9d2ff'] : ['#e3eefa', '#5b9bdb', '#0a3f78'],
  };
}

function base(color) {
  return {
    animation: false,
    color: color.palette,
    textStyle: { color: color.text, fontFamily: 'system-ui, "DejaVu Sans", sans-serif' },
    tooltip: {
      renderMode: 'richText', confine: true, backgroundColor: color.panel, borderColor: color.line,
      textStyle: { color: color.text, fontSize: 12 },
    },
  };
}

function meant(name, index, color) {
  return color.palette[MEANINGS[name] ?? index % color.palette.length];
}

function short(text, length = 34) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

const axis = (color) => ({
  axisLabel: { color: color.soft }, axisLine: { lineStyle: { color: color.line } }, axisTick: { lineStyle: { color: color.line } },
  splitLine: { lineStyle: { color: color.line } }, nameTextStyle: { color: color.soft },
});

/** An axis whose marks are whole ones of its unit. */
function scale(values, unit, marks) {
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const interval = values.some((value) => value < 0) ? undefined : step(most, unit, marks);
  return interval ? { interval, max: Math.ceil(most / interval) * interval } : {};
}

function overTime(definition, answer, color) {
  const { starts, interval, series, band } = answer;
  const rights = series.filter((one) => one.right);
  const lefts = series.filter((one) => !one.right);
  const unit = (list) => list[0]?.unit ?? '';
  const stacked = (definition.look === 'bar' && answer.split) || definition.look === 'area';
  const drawn = series.map((one, index) => {
    const line = definition.look !== 'bar' || (one.right && !answer.split);
    return {
      name: one.name, type: line ? 'line' : 'bar', data: one.values, yAxisIndex: one.right && lefts.length ? 1 : 0,
      // Lines and areas of many values have no symbols that could be clicked.
      triggerLineEvent: line, stack: stacked && !one.right ? 'all' : undefined, areaStyle: definition.look === 'area' ? { opacity: 0.7 } : undefined,
      // A value beside which there is none has no line.
      symbol: one.values.filter((value) => value !== null).length < 60 ? 'circle' : 'none', showAllSymbol: true, symbolSize: 5, barCategoryGap: '12%', connectNulls: false,
      itemStyle: { color: meant(one.name, index, color) }, lineStyle: { width: 2 }, emphasis: { focus: 'series' },
    };
  });
  if (band) {
    // The band lies on its lower edge, as a second area.
    const edge = { type: 'line', symbol: 'none', stack: 'band', lineStyle: { opacity: 0 }, silent: true, tooltip: { show: false }, z: 0 };
    drawn.push({ ...edge, name: 'below', data: band.low });
    drawn.push({
      ...edge, name: 'usual', data: band.high.map((high, index) => (high === null ? null : high - band.low[index])),
      areaStyle: { color: color.mark, opacity: 0.18 }, itemStyle: { color: color.mark },
    });
    const out = series[0].values.map((value, index) => (band.high[index] !== null && (value > band.high[index] || value < band.low[index]) ? value : null));
    drawn.push({ name: 'unusual', type: 'scatter', data: out, symbolSize: 10, itemStyle: { color: color.bad }, z: 5 });
  }
  const value = (list) => {
    const tops = starts.map((_, index) => {
      const values = list.map((one) => one.values[index] ?? 0);
      return stacked ? values.reduce((a, b) => a + b, 0) : Math.max(...values, band?.high[index] ?? 0);
    });
    return { ...axis(color), type: 'value', ...scale(tops, unit(list)), axisLabel: { color: color.soft, formatter: (at) => withUnit(at, unit(list)) } };
  };
  const units = new Map(series.map((one) => [one.name, one.unit]));
  const names = [...series.map((one) => one.name), ...(band ? ['usual', 'unusual'] : [])];
  return {
    ...base(color),
    tooltip: {
      ...base(color).tooltip, trigger: 'axis',
      formatter: (points) => [
        piece(starts[points[0].dataIndex], interval),
        ...points.filter((point) => !['below', 'usual', 'unusual'].includes(point.seriesName) && point.value !== null)
          .map((point) => `${short(point.seriesName, 60)}: ${withUnit(point.value, units.get(point.seriesName))}`),
        ...(band && band.low[points[0].dataIndex] !== null ? [`usual: ${number(Math.floor(band.low[points[0].dataIndex]))} to ${number(Math.ceil(band.high[points[0].dataIndex]))}`] : []),
      ].join('\n'),
    },
    legend: {
      show: names.length > 1, type: 'plain', data: names.slice(0, 14), top: 0, itemHeight: 8, itemWidth: 14, textStyle: { color: color.soft, fontSize: 11 },
      formatter: (name) => short(name, 26), selectedMode: false,
    },
    grid: { left: 8, right: 8, top: names.length > 6 ? 58 : names.length > 1 ? 36 : 12, bottom: 4, containLabel: true },
    xAxis: { ...axis(color), type: 'category', data: starts.map((at) => piece(at, interval)), splitLine: { show: false } },
    yAxis: rights.length && lefts.length ? [value(lefts), { ...value(rights), splitLine: { show: false } }] : value(series),
    series: drawn,
  };
}

function top(definition, answer, color) {
  const rows = answer.rows;
  if (definition.look === 'ring' || definition.look === 'boxes') {
    const data = rows.map((row, index) => ({ name: row.key, value: row.value, itemStyle: { color: meant(row.key, index, color) } }));
    if (answer.rest) data.push({ name: `${answer.others} others`, value: answer.rest, others: true, itemStyle: { color: color.palette[10] } });
    const tooltip = { ...base(color).tooltip, formatter: ({ name, value }) => `${short(name, 80)}: ${withUnit(value, answer.unit)}` };
    if (definition.look === 'ring') {
      return {
        ...base(color), tooltip,
        series: [{
          type: 'pie', radius: ['42%', '68%'], data, label: { color: color.text, lineHeight: 15, formatter: ({ name, percent }) => `${short(name, 18)}\n${percent} %` },
          labelLine: { lineStyle: { color: color.soft } }, itemStyle: { borderColor: color.panel, borderWidth: 1 },
        }],
      };
    }
    return {
      ...base(color), tooltip,
      series: [{
        type: 'treemap', data, roam: false, nodeClick: false, breadcrumb: { show: false }, left: 0, right: 0, top: 0, bottom: 0,
        label: { color: color.panel, lineHeight: 15, formatter: ({ name, value }) => `${short(name, 22)}\n${number(value)}` }, itemStyle: { borderColor: color.panel, gapWidth: 2 },
      }],
    };
  }
  const keys = rows.map((row) => row.key).reverse();
  let series;
  if (answer.split) {
    series = stacks(keys, answer.split.cells).map(({ name, values, others }, index) => ({
      name, type: 'bar', stack: 'all', data: values, itemStyle: { color: others ? color.palette[10] : meant(name, index, color) },
    }));
  } else {
    series = [{
      name: answer.name, type: 'bar', data: rows.map((row) => row.value).reverse(), barMaxWidth: 22,
      label: { show: true, position: 'right', color: color.text, formatter: ({ value }) => withUnit(value, answer.unit) },
    }];
  }
  return {
    ...base(color),
    tooltip: { ...base(color).tooltip, formatter: ({ name, seriesName, value }) => `${short(name, 90)}\n${seriesName}: ${withUnit(value, answer.unit)}` },
    grid: { left: 4, right: 56, top: 4, bottom: 4, containLabel: true },
    xAxis: { ...axis(color), type: 'value', splitNumber: 3, ...scale(keys.map((_, index) => series.reduce((sum, one) => sum + (one.data[index] ?? 0), 0)), answer.unit, 3), axisLabel: { color: color.soft, formatter: (at) => withUnit(at, answer.unit) } },
    yAxis: { ...axis(color), type: 'category', data: keys, axisLabel: { color: color.text, formatter: (key) => short(key, 26) } },
    series,
  };
}

function heat(answer, color) {
  const { names, starts, interval, cells } = answer;
  const most = Math.max(1, ...cells.map(([, , value]) => value));
  return {
    ...base(color),
    tooltip: {
      ...base(color).tooltip,
      formatter: ({ value: [x, y, count] }) => `${piece(starts[x], interval)}\n${short(names[names.length - 1 - y], 80)}: ${number(count)}`,
    },
    grid: { left: 4, right: 12, top: 4, bottom: 4, containLabel: true },
    xAxis: { ...axis(color), type: 'category', data: starts.map((at) => piece(at, interval)) },
    yAxis: { ...axis(color), type: 'category', data: [...names].reverse(), axisLabel: { color: color.text, formatter: (key) => short(key, 28) } },
    visualMap: { show: false, min: 0, max: most, inRange: { color: color.shades } },
    series: [{ type: 'heatmap', data: cells.map(([x, y, value]) => [x, names.length - 1 - y, value]), itemStyle: { borderColor: color.panel, borderWidth: 1 } }],
  };
}

async function map(answer, color) {
  await world();
  const most = Math.max(1, ...answer.rows.map((row) => row.value));
  return {
    ...base(color),
    tooltip: {
      ...base(color).tooltip,
      formatter: ({ seriesType, name, value }) => (seriesType === 'scatter'
        ? `${value[1]}, ${value[0]}: ${number(value[2])}` : `${titles.get(name) ?? name}: ${number(Number.isNaN(value) ? 0 : value)}`),
    },
    visualMap: {
      seriesIndex: 0, min: 0, max: most, calculable: false, orient: 'horizontal', left: 'center', bottom: 0, itemHeight: 90, itemWidth: 10,
      text: [number(most), '0'], textStyle: { color: color.soft }, inRange: { color: color.shades },
    },
    geo: {
      map: 'world', roam: false, left: 4, right: 4, top: 4, bottom: 22, itemStyle: { areaColor: 'transparent', borderColor: color.soft, borderWidth: 0.5 },
      emphasis: { label: { show: false }, itemStyle: { areaColor: color.palette[1] } }, select: { disabled: true },
    },
    series: [
      { type: 'map', geoIndex: 0, data: answer.rows.map((row) => ({ name: row.key, value: row.value })) },
      {
        type: 'scatter', coordinateSystem: 'geo', data: answer.places, symbolSize: (value) => 4 + 10 * Math.sqrt(value[2] / most),
        itemStyle: { color: color.palette[1], opacity: 0.75 },
      },
    ],
  };
}

export const drawn = (definition) => ['time', 'heat', 'map'].includes(definition.kind) || definition.kind === 'top';

const time = (answer, index) => [answer.starts[index], answer.starts[index] + answer.interval];

/** What a mark stands for besides the search of its panel, as searches and a piece of time; a line and an area are clicked at a piece of time. */
function meaning(definition, answer, event, index) {
  switch (definition.kind) {
    case 'time': {
      // What is unusual is so of the first.
      const series = answer.series[event.seriesIndex] ?? answer.series[0];
      const search = answer.split ? series?.value !== undefined && is(answer.split, series.value) : series?.filter;
      return [search ? [search] : [], time(answer, event.dataIndex ?? index)];
    }
    case 'heat':
      return [[is(answer.field, answer.names[answer.names.length - 1 - event.value[1]])], time(answer, event.value[0])];
    case 'map': {
      if (event.seriesType === 'scatter') return [[isPlace(definition.place, event.value)]];
      const row = answer.rows.find(({ key }) => key === event.name);
      return [row ? [is(answer.field, row.key)] : []];
    }
    default: {
      if (event.data?.others) return [[]];
      const part = answer.split && event.seriesName;
      const known = part && answer.split.cells.some(([, name]) => name === part);
      return [[is(answer.field, event.name), ...(known ? [is(answer.split.field, part)] : [])]];
    }
  }
}

/** Draws an answer, if by then it `stands` still, and says with `choose` what was clicked. */
export async function draw(element, definition, answer, { choose, stands }) {
  const color = colors();
  const option = definition.kind === 'time' ? overTime(definition, answer, color)
    : definition.kind === 'top' ? top(definition, answer, color)
      : definition.kind === 'heat' ? heat(answer, color) : await map(answer, color);
  // While a map came, another dashboard may have been chosen.
  if (!stands()) return;
  const chart = echarts.getInstanceByDom(element) ?? begin(element);
  chart.setOption(option, true);
  listen(element, chart, definition, answer, choose);
}

function begin(element) {
  const chart = echarts.init(element);
  element.observer = new ResizeObserver(() => chart.resize());
  element.observer.observe(element);
  return chart;
}

/** What charts hold goes before they do. */
export function release(within) {
  for (const element of within.querySelectorAll('.chart')) {
    element.listening?.abort();
    element.observer?.disconnect();
    echarts.getInstanceByDom(element)?.dispose();
  }
}

/** A mark is chosen by a click, and a piece of time by one beside all marks, or by drawing over it. */
function listen(element, chart, definition, answer, choose) {
  element.listening?.abort();
  element.listening = new AbortController();
  const { signal } = element.listening;
  const x = (event) => event.clientX - element.getBoundingClientRect().left;
  const at = (position) => {
    const index = Math.round(chart.convertFromPixel({ xAxisIndex: 0 }, position));
    return Math.min(answer.starts.length - 1, Math.max(0, index));
  };
  // The chart tells of the mark before the click comes to the element that it stands in.
  let hit = null;
  let brushed = false;
  chart.off('click');
  chart.on('click', (event) => { hit = event; });
  element.addEventListener('click', (event) => {
    const mark = hit;
    hit = null;
    if (brushed) return;
    const index = definition.kind === 'time' ? at(x(event)) : undefined;
    if (mark) {
      const [searches, times] = meaning(definition, answer, mark, index);
      choose(definition.filter ? [...searches, definition.filter] : searches, times);
    } else if (index !== undefined && chart.containPixel('grid', [event.offsetX, event.offsetY])) {
      choose([], time(answer, index));
    }
  }, { signal });
  if (definition.kind !== 'time' && definition.kind !== 'heat') return;
  const shade = document.createElement('div');
  shade.className = 'brush';
  let begun = null;
  element.addEventListener('pointerdown', (event) => {
    brushed = false;
    if (event.button === 0) begun = x(event);
  }, { signal });
  addEventListener('pointermove', (event) => {
    if (begun === null || Math.abs(x(event) - begun) < 5) return;
    if (!shade.isConnected) element.append(shade);
    const [left, right] = [begun, x(event)].sort((a, b) => a - b);
    Object.assign(shade.style, { left: `${left}px`, width: `${right - left}px`, top: '0', bottom: '0' });
  }, { signal });
  addEventListener('pointerup', (event) => {
    if (begun === null) return;
    const [from, to] = [begun, x(event)].sort((a, b) => a - b);
    begun = null;
    shade.remove();
    if (to - from < 5) return;
    // The click that follows is the end of this, and none on a mark.
    brushed = true;
    choose([], [answer.starts[at(from)], answer.starts[at(to)] + answer.interval]);
  }, { signal });
}

export function picture(element, background) {
  return echarts.getInstanceByDom(element)?.getDataURL({ pixelRatio: 2, backgroundColor: background });
}
