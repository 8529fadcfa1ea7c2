/** The command line: names, options and help texts. What the commands do is in commands/. */
import { Command, InvalidArgumentError } from 'commander'
import { type AccessOptions, useAccess } from './admin-client.ts'
import { ConfigError } from './config.ts'
import { localNodesMax } from './config-template.ts'
import { CommandError, isSystemError } from './errors.ts'
import { quorateVersion } from './version.ts'

const endpoints = [
  '--endpoints <list>',
  'admin endpoints, comma separated: host:port, https://host:port, or unix:/path',
  endpointList,
  '127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203',
] as const

export async function runCommandLine(args: readonly string[]): Promise<void> {
  try {
    await program().parseAsync(args, { from: 'user' })
  } catch (error) {
    const isForUsers =
      error instanceof ConfigError || error instanceof CommandError || isSystemError(error)
    if (!isForUsers) throw error
    for (const line of error.message.split('\n')) console.error(`quorate: ${line}`)
    process.exit(1)
  }
}

// Each command is loaded when it is used: `quorate --help` should not load a server.
function program(): Command {
  const quorate = new Command('quorate')
    .description('A coordination service for ZooKeeper and etcd v3 clients')
    .version(quorateVersion)
    .showHelpAfterError('(see --help)')
    .hook('preAction', (_, command) => useAccess(command.opts<AccessOptions>()))
  quorate
    .command('start')
    .description('run one node in the foreground')
    .requiredOption('--config <file>', 'its configuration (YAML; `quorate init` writes one)')
    .action(async options => (await import('./commands/start.ts')).start(options))
  quorate
    .command('dev')
    .description('run a local cluster on loopback: one process a node, data kept between runs')
    .option('--nodes <count>', `1 to ${localNodesMax} nodes`, localNodeCount, 3)
    .option('--dir <directory>', 'config files and data', '.quorate')
    .option('--fresh', 'throw away the data of earlier runs first', false)
    .action(async options => (await import('./commands/dev.ts')).dev(options))
  quorate
    .command('init')
    .description('write the commented config files of a local cluster, and nothing else')
    .option('--nodes <count>', `1 to ${localNodesMax} nodes`, localNodeCount, 3)
    .requiredOption('--dir <directory>', 'where to write them')
    .action(async options => (await import('./commands/init.ts')).init(options))
  quorate
    .command('status')
    .description(
      'print a table: role, epoch, applied position, revision, zxid, sessions, watches, lag',
    )
    .option(...endpoints)
    .option('--json', 'print what the nodes answer', false)
    .action(async options => (await import('./commands/status.ts')).status(options))
  quorate
    .command('recover')
    .description('say what the disk of a stopped node still has, and start anew with it')
    .requiredOption('--config <file>', 'the configuration of the node')
    .option(
      '--force-new-cluster',
      'the node becomes the only member of a new cluster, with all its data',
      false,
    )
    .option('--yes', 'do not ask', false)
    .addHelpText('after', recoverHelp)
    .action(async options => (await import('./commands/recover.ts')).recover(options))
  const member = quorate
    .command('member')
    .description('list and change the members of the cluster')
    .addHelpText('after', memberHelp)
  member
    .command('list')
    .description('print the members: voters, learners, and those that are leaving')
    .option(...endpoints)
    .action(async options => (await import('./commands/member.ts')).list(options))
  for (const [change, text] of [
    ['add', 'add a node, which runs already, as a learner: it copies the log and does not vote'],
    ['promote', 'make a learner that has caught up a voter'],
    ['replace', 'bind a node whose data was lost to its new data directory'],
    ['update', 'change where a member is reached: by the other nodes, by etcd clients'],
    ['remove', 'remove a node'],
  ] as const) {
    const command = member.command(change).description(text).argument('<node>', 'its name or id')
    if (change === 'add' || change === 'replace' || change === 'update') {
      const unsaid = change === 'add' ? 'as configured where it is asked' : 'as before'
      command.option('--peer <host:port>', `where the others reach it; default: ${unsaid}`)
      command.option('--etcd <host:port>', `where etcd clients reach it; default: ${unsaid}`)
    }
    if (change === 'add' || change === 'replace') {
      command.option(
        '--store <id>',
        'its store, where the leader cannot hear of it; its log shows it',
      )
    }
    command
      .option(...endpoints)
      .action(async (node, options) =>
        (await import('./commands/member.ts')).change(change, node, options),
      )
  }
  member
    .command('transfer')
    .description('let another voter lead; done when it does')
    .argument('<node>', 'its name or id')
    .option(...endpoints)
    .action(async (node, options) => (await import('./commands/member.ts')).transfer(node, options))
  for (const command of [...quorate.commands, ...member.commands]) addAccess(command)
  return quorate
}

/** Of every command that asks nodes. */
function addAccess(command: Command): void {
  if (!command.options.some(option => option.long === '--endpoints')) return
  command
    .option('--token-file <file>', 'what the admin ports ask for (listeners.admin.tokenFile)')
    .option('--token <token>', 'the same, where others may see it')
    .option('--cacert <file>', 'the authority of their certificates (PEM)')
}

const recoverHelp = `
A single node whose journal is damaged: without options it says what is lost, asks, and goes on with the rest.
A cluster that has lost its majority for good: on the node with the most (\`position\` says), with
--force-new-cluster. Nodes of the old cluster are refused then; empty them, and add them again.
What was there is set aside, never changed.`

const memberHelp = `
A node joins: write its configuration with all members in it, itself included, and start it. Then
  quorate member add 4 --peer 10.0.0.4:7100 --etcd 10.0.0.4:2379
                                              it copies the log, and does not vote yet
  quorate member promote 4                    it votes, once it has caught up
A node whose data directory was lost: start it with an empty one. Then
  quorate member replace 3                    it copies the log, and counts again
A node moves to another address: start it there, and correct the configurations. Then
  quorate member update 3 --peer 10.0.0.9:7100
A node leaves for good, and its process ends:
  quorate member remove 3                     its clients go elsewhere
Any node of --endpoints can be asked: the leader carries it out, and one change at a time. It is
answered once a majority holds it.`

/** Checked here; the commands take it apart. */
function endpointList(text: string): string {
  for (const endpoint of text.split(',')) {
    if (/^\s*unix:\/[^,]+$/.test(endpoint)) continue
    if (/^\s*(https?:\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):\d{1,5}\s*$/.test(endpoint)) continue
    throw new InvalidArgumentError(`"${endpoint.trim()}" is not host:port.`)
  }
  return text
}

function localNodeCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > localNodesMax) {
    throw new InvalidArgumentError(`must be a whole number from 1 to ${localNodesMax}.`)
  }
  return count
}
