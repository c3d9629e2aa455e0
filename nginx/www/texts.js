// What the page says, in each of its languages.

export const texts = {
  en: {
    language: "Language",
    chooseTitle: "Choose files",
    drop: "Drop files or folders here, or",
    chooseFiles: "Choose files",
    chooseFolder: "Choose a folder",
    settings: "Settings",
    dialect: "Protocol",
    parallel: "Parts at the same time",
    showConversation: "Show the conversation with the server",
    interruptedTitle: "Interrupted uploads",
    interruptedHelp: "Choose the same files again: what the server has is not sent twice.",
    forget: "Forget",
    uploadsTitle: "Uploads",
    none: "There are none yet.",
    flat: "This protocol has no folders: the files are stored side by side, each under a name of its own that its line tells.",
    total: "All files",
    conversationTitle: "Conversation",
    pause: "Pause",
    resume: "Resume",
    retry: "Try again",
    cancel: "Cancel",
    remove: "Remove",
    waiting: "Waiting",
    twin: "Waiting for another file of this name, size and time",
    preparing: "Asking the server",
    running: ({ done, size, speed, left }) => `${done} of ${size}, ${speed}/s, ${left} left`,
    offline: ({ seconds }) => `The server can not be reached. Trying again in ${seconds} s`,
    paused: ({ done, size }) => `Paused at ${done} of ${size}`,
    finished: ({ name }) => `Finished: stored as ${name}`,
    cancelled: "Cancelled",
    failed: ({ message }) => `Failed: ${message}`,
    announceFinished: ({ name }) => `${name} is finished`,
    announceFailed: ({ name, message }) => `${name} has failed: ${message}`,
    button: ({ action, name }) => `${action} ${name}`,
    unreadable: "The file can not be read any more; choose it again",
    refused: ({ message }) => `The server refuses this file: ${message}`,
    full: ({ message }) => `The server has no space for it: ${message}`,
    seconds: (count) => (count < 90 ? `${count} s` : count < 5400 ? `${Math.round(count / 60)} min` : `${Math.round(count / 3600)} h`),
  },
  zh: {
    language: "语言",
    chooseTitle: "选择文件",
    drop: "将文件或文件夹拖到此处，或者",
    chooseFiles: "选择文件",
    chooseFolder: "选择文件夹",
    settings: "设置",
    dialect: "协议",
    parallel: "同时上传的分片数",
    showConversation: "显示与服务器的对话",
    interruptedTitle: "中断的上传",
    interruptedHelp: "请再次选择相同的文件：服务器已有的部分不会重复发送。",
    forget: "不再保留",
    uploadsTitle: "上传",
    none: "还没有上传。",
    flat: "此协议没有文件夹：所有文件存放在同一处，每个文件都有自己的名称，见各行说明。",
    total: "全部文件",
    conversationTitle: "对话",
    pause: "暂停",
    resume: "继续",
    retry: "重试",
    cancel: "取消",
    remove: "移除",
    waiting: "等待中",
    twin: "正在等待另一个名称、大小和时间相同的文件",
    preparing: "正在询问服务器",
    running: ({ done, size, speed, left }) => `${done} / ${size}，${speed}/秒，剩余 ${left}`,
    offline: ({ seconds }) => `无法连接服务器，${seconds} 秒后重试`,
    paused: ({ done, size }) => `已暂停：${done} / ${size}`,
    finished: ({ name }) => `完成：保存为 ${name}`,
    cancelled: "已取消",
    failed: ({ message }) => `失败：${message}`,
    announceFinished: ({ name }) => `${name} 已完成`,
    announceFailed: ({ name, message }) => `${name} 失败：${message}`,
    button: ({ action, name }) => `${action} ${name}`,
    unreadable: "无法再读取该文件，请重新选择",
    refused: ({ message }) => `服务器拒绝该文件：${message}`,
    full: ({ message }) => `服务器空间不足：${message}`,
    seconds: (count) => (count < 90 ? `${count} 秒` : count < 5400 ? `${Math.round(count / 60)} 分钟` : `${Math.round(count / 3600)} 小时`),
  },
};

/** What servers say, in the languages of the page but English, which they speak. */
const said = {
  zh: [
    [/quota of (\d+) bytes/, ([, count]) => `您的 ${bytes(Number(count))} 配额已用完`],
    [/no space/, () => "磁盘已满，已保存的内容是安全的，请稍后再试"],
    [/type/i, () => "不允许此类型的文件"],
    [/at most (\d+) bytes/, ([, count]) => `最多允许 ${bytes(Number(count))}`],
    [/at most (\d+) uploads/, ([, count]) => `最多同时进行 ${count} 个上传，请先完成其他上传`],
    [/too many files of this name/, () => "同名文件过多"],
    [/taken by a folder|in the way of this path|is a dir/, () => "该路径已被文件夹或链接占用"],
    [/file size|exceeded/i, () => "文件大小超出限制"],
    [/could not read or write|cannot write|temp directory/i, () => "服务器无法读写，已保存的内容是安全的，请重试"],
    [/upload.*(gone|expired|complete)|no such upload|invalid upload id/i, () => "该上传已不存在，可能已完成或过期"],
    [/MD5|not fit|range|Invalid offset|other bytes|partially uploaded/, () => "收到的数据与文件不符，请重试"],
  ],
};

/** A message of the server in the language of the page; what nobody knows is the site's own, and stays as it is. */
export function translated(message, language) {
  for (const [pattern, text] of said[language] ?? []) {
    const match = message.match(pattern);
    if (match) return text(match);
  }
  return message;
}

/** 1.5 MiB */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? count : count.toFixed(1)} ${units[unit]}`;
}
